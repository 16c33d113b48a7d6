CREATE OR REPLACE FUNCTION budget._standing_verdict(p_standing budget._standing, p_reason text)
RETURNS budget.verdict
LANGUAGE sql
IMMUTABLE
AS $function$
    SELECT ROW(
        p_reason = 'granted',
        (p_standing).total,
        NULL,
        p_reason,
        (p_standing).budget,
        (p_standing).member,
        (p_standing).limit_amount,
        (p_standing).limit_amount - (p_standing).total,
        nullif((p_standing).ends_at, 'infinity'),
        NULL,
        NULL
    )::budget.verdict
$function$;

REVOKE ALL ON FUNCTION budget._standing_verdict(budget._standing, text) FROM PUBLIC;
COMMENT ON FUNCTION budget._standing_verdict(budget._standing, text) IS
'A verdict with the figures of one standing, and neither hold nor retry_at yet.';
