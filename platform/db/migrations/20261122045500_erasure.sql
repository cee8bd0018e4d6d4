-- +goose Up
-- What the module has done to what it held of whom: the report for the operator, and how somebody stays forgotten of whom the module hears
-- again. The subject outlives the person.
CREATE TABLE cleave_erasure (
	subject text NOT NULL,
	place text NOT NULL,
	done text NOT NULL CHECK (done IN ('erased', 'anonymised', 'kept')),
	rows bigint NOT NULL,
	time timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (subject, place)
);
-- A report is added to, and never taken back.
-- +goose StatementBegin
DO $$ BEGIN
	EXECUTE format('REVOKE DELETE, TRUNCATE ON cleave_erasure FROM %I', 'cleave_' || current_schema());
END $$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE cleave_erasure;
