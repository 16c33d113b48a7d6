-- The one name that this series gives another meaning.
CREATE OR REPLACE FUNCTION budget._standings(p_requests budget._request[], p_lock text)
RETURNS budget._decision
LANGUAGE sql
VOLATILE
AS $function$
    SELECT budget._standings_by_balances(p_requests, p_lock)
$function$;

REVOKE ALL ON FUNCTION budget._standings(budget._request[], text) FROM PUBLIC;
COMMENT ON FUNCTION budget._standings(budget._request[], text) IS
'Where each budget stands that the requests belong to, the day first: under locks that last until the end of the
transaction (p_lock: table or advisory, which makes no difference here), or as it is to be seen without any (null).
Errors: 55P03.';
