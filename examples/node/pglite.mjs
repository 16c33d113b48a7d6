// The whole of pgbudget inside this process, on PGlite: PostgreSQL as WebAssembly, for tests and local work.
//
//   pgbudget sql --single-transaction > pgbudget.sql
//   node examples/node/pglite.mjs pgbudget.sql
import { readFileSync } from 'node:fs'
import { PGlite } from '@electric-sql/pglite'

const db = await PGlite.create()
await db.exec(readFileSync(process.argv[2], 'utf8'))
const one = async (sql, values) => (await db.query(sql, values)).rows[0]

const hold = await one('SELECT * FROM budget.reserve($1, $2)', ['60', 'summaries'])
console.log('first:', hold.reason)
console.log('second:', (await one('SELECT * FROM budget.reserve_advisory($1, $2)', ['60', 'summaries'])).reason)
console.log('settled:', (await one('SELECT * FROM budget.settle($1, $2)', [hold.reservation_id, '41.50'])).actual_cost)

// Roles and grants are those of a server.
await db.exec('CREATE ROLE app; GRANT budget_caller TO app; SET ROLE app')
await db.query('SELECT cost FROM public.cost_tracking').catch((error) => console.log('as app:', error.message))
await db.exec('RESET ROLE')

console.log('broken rules:', (await db.query('SELECT * FROM budget.invariants')).rows.length)
await db.close()
