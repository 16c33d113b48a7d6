import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
const call = async (sql, ...values) => (await pool.query(sql, values)).rows[0]

const hold = await call('SELECT * FROM budget.reserve_advisory($1, $2)', '2.50', 'summaries')
if (hold.can_proceed) {
  const cost = '1.87' // call the model here; money is text in JavaScript, or it is not exact
  console.log(await call('SELECT status, actual_cost FROM budget.settle($1, $2)', hold.reservation_id, cost))
} else {
  console.log(`no budget: ${hold.reason}, try again at ${hold.retry_at}`)
}
await pool.end()
