// Guard calls through supabase-js; docs/postgrest.md says what the project must be configured with.
import { randomUUID } from 'node:crypto'
import { createClient } from '@supabase/supabase-js'

const supabase = createClient(process.env.SUPABASE_URL, process.env.SUPABASE_SERVICE_ROLE_KEY)

// Three columns, in schema public: nothing to configure.
const { data, error } = await supabase.rpc('check_and_reserve_budget', {
  p_estimated_cost: 2.5,
  p_service_name: 'summaries',
  p_metadata: { user: 'ada' },
})
if (error) throw error
const { can_proceed: canProceed, current_total: total, reservation_id: id } = data[0]
console.log('public:', canProceed, total)

// The rest is in schema budget, which must be exposed.
const budget = supabase.schema('budget')
const settled = await budget.rpc('settle', { p_reservation_id: id, p_actual_cost: 1.87 })
console.log('settled:', settled.data[0].actual_cost)

// Two calls of $60 at once, against $100: one of them is refused, and told when to try again.
const both = await Promise.all(
  ['a', 'b'].map((name) => budget.rpc('reserve_advisory', { p_estimated_cost: 60, p_service_name: name })),
)
const reasons = both.map((answer) => answer.data[0].reason).sort()
console.log('reserved:', reasons.join(', '))

// What is wrong is an error, with the SQLSTATE as its code.
const unknown = await budget.rpc('cancel', { p_reservation_id: randomUUID() })
console.log('error:', unknown.error.code, unknown.error.message.replace(/[0-9a-f-]{36}/, '…'))

// Whoever is not the service role is refused by the database itself.
const visitor = createClient(process.env.SUPABASE_URL, process.env.SUPABASE_ANON_KEY)
const refused = await visitor.rpc('check_and_reserve_budget', { p_estimated_cost: 1, p_service_name: 'summaries' })
console.log('anon:', refused.error.code, refused.error.message)
