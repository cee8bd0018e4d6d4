-- +goose Up
-- Transaction ids order the log, and begin anew on another server. Data that are moved there begin an era. The function is replaced
-- then: a constant costs a publisher nothing.
CREATE FUNCTION cleave_era() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';

-- The log of what the module has published. Its order is the primary key: behind the oldest transaction that is still writing nothing
-- can appear any more.
CREATE TABLE cleave_event (
	era integer NOT NULL DEFAULT cleave_era(),
	transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
	position bigint GENERATED ALWAYS AS IDENTITY,
	id text NOT NULL,
	type text NOT NULL,
	subject text NOT NULL,
	sequence bigint NOT NULL,
	time timestamptz NOT NULL DEFAULT now(),
	correlation_id text NOT NULL,
	trace text NOT NULL,
	data bytea NOT NULL,
	PRIMARY KEY (era, transaction, position)
);
-- Costs a publisher next to nothing, and spares an operator who asks for a day the rest of the log.
CREATE INDEX cleave_event_time ON cleave_event USING brin (time);
-- The log only grows. The module's role can neither change what it has published nor take it back.
-- +goose StatementBegin
DO $$ BEGIN
	EXECUTE format('REVOKE UPDATE, DELETE ON cleave_event FROM %I', 'cleave_' || current_schema());
END $$;
-- +goose StatementEnd

-- Who listens to the module, and how far each has got.
CREATE TABLE cleave_subscriber (
	name text PRIMARY KEY,
	id bigint GENERATED ALWAYS AS IDENTITY UNIQUE, -- Tells a subscription from an earlier one of the same module.
	types jsonb NOT NULL, -- For each type when the subscriber last said that it listens to it.
	-- The last place in the log that has been delivered.
	era integer NOT NULL,
	transaction xid8 NOT NULL,
	position bigint NOT NULL,
	-- Which process delivers, and until when nobody else does. Who took the lease later has the higher fence.
	lease_owner text,
	lease_until timestamptz,
	fence bigint NOT NULL DEFAULT 0,
	-- Why the latest delivery was not possible, and since when that is so.
	error text,
	error_time timestamptz,
	create_time timestamptz NOT NULL DEFAULT now(),
	update_time timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50); -- The rows change with every batch: there is room for that on their page.

-- Which events of others the module has applied.
CREATE TABLE cleave_inbox (
	publisher text NOT NULL,
	id text NOT NULL,
	time timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (publisher, id)
);

-- +goose Down
DROP TABLE cleave_inbox;
DROP TABLE cleave_subscriber;
DROP TABLE cleave_event;
DROP FUNCTION cleave_era();
