// Guard calls from Node: DATABASE_URL=postgresql://app@host/db node examples/node/guard.mjs
import { randomUUID } from 'node:crypto'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
const one = async (sql, values) => (await pool.query(sql, values)).rows[0]

export class NoBudget extends Error {}

/** Make the call if there is room for it, and book what it cost. `call` answers { answer, cost }, with cost as text. */
export async function guarded(estimate, service, call) {
  const id = randomUUID() // made here: whoever repeats a reservation by its id is charged once
  const verdict = await one(
    'SELECT * FROM budget.reserve_advisory(p_estimated_cost => $1, p_service_name => $2, p_reservation_id => $3)',
    [estimate, service, id],
  )
  if (!verdict.can_proceed) throw new NoBudget(`${verdict.reason} (limit ${verdict.limit_amount})`)
  let result
  try {
    result = await call()
  } catch (error) {
    await one('SELECT * FROM budget.cancel($1, $2)', [id, error.name])
    throw error
  }
  // Not inside the try: when this fails the money is spent all the same, and cancelling would hide it.
  await one('SELECT * FROM budget.settle($1, $2)', [id, result.cost])
  return result.answer
}

// Thirty calls of $10 at once, against $100: ten go through, whoever they are.
const outcomes = await Promise.allSettled(
  Array.from({ length: 30 }, () => guarded('10', 'summaries', async () => ({ answer: 'fine', cost: '10' }))),
)
const granted = outcomes.filter((outcome) => outcome.status === 'fulfilled')
const refused = outcomes.filter((outcome) => outcome.reason instanceof NoBudget)
console.log(`${granted.length} calls made, ${refused.length} refused`)
console.log('spent today:', (await one("SELECT current_total FROM budget.check(0, 'summaries')")).current_total)
await pool.end()
