-- Guard a job of a shell script: psql "$DATABASE_URL" -f examples/psql.sql
\set ON_ERROR_STOP on
\pset footer off

SELECT can_proceed, reason, reservation_id FROM budget.reserve(2.50, 'nightly-report') \gset
\if :can_proceed
    \! echo "The job runs here."
    SELECT status, estimated_cost, actual_cost FROM budget.settle(:'reservation_id', 1.87);
\else
    \echo No budget for the job: :reason
\endif

-- A job that is too dear is refused. That is an answer, not an error.
SELECT can_proceed, reason FROM budget.reserve(250, 'nightly-report') \gset
\if :can_proceed
\else
    \echo No budget for the job: :reason
\endif
