-- A hold that another writer inserts, such as the handover's own function, must lapse like every other.
CREATE OR REPLACE FUNCTION budget._adopt_hold()
RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    NEW.created_at := coalesce(NEW.created_at, budget._now());
    NEW.expires_at := NEW.created_at + (budget._read_config()).reservation_ttl;
    NEW.metadata := NEW.metadata - ARRAY['reserved_at', 'over_limit'];
    NEW.metadata := budget._kept_metadata(NEW, NEW, NEW.created_at);
    RETURN NEW;
END
$function$;

REVOKE ALL ON FUNCTION budget._adopt_hold() FROM PUBLIC;
COMMENT ON FUNCTION budget._adopt_hold() IS
'Trigger on holds inserted without an expiry: they lapse at created_at + reservation_ttl and get our keys.';
