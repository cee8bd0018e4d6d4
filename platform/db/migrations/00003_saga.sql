-- +goose Up
-- Where each saga of the module is. Due is when somebody has to look at it: when the lease of the process that drives it ends, or when
-- it is to be tried again; null while it rests.
CREATE TABLE cleave_saga (
	id text PRIMARY KEY,
	kind text NOT NULL,
	state jsonb NOT NULL,
	phase text NOT NULL CHECK (phase IN ('forward', 'back', 'done', 'undone')),
	position integer NOT NULL,
	reason text NOT NULL DEFAULT '',
	wish text NOT NULL DEFAULT '',
	attempt integer NOT NULL DEFAULT 0,
	stuck boolean NOT NULL DEFAULT false,
	number bigint NOT NULL DEFAULT 0,
	fence bigint NOT NULL DEFAULT 1,
	leased boolean NOT NULL,
	due timestamptz,
	create_time timestamptz NOT NULL DEFAULT now(),
	update_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cleave_saga_due ON cleave_saga (due) WHERE due IS NOT NULL;
CREATE INDEX cleave_saga_ended ON cleave_saga (create_time) WHERE phase IN ('done', 'undone');
-- What has happened to each. Rows go only with their saga.
CREATE TABLE cleave_saga_step (
	saga_id text NOT NULL,
	number bigint NOT NULL,
	step text NOT NULL,
	what text NOT NULL,
	attempt integer NOT NULL,
	duration interval NOT NULL,
	note text NOT NULL,
	time timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (saga_id, number)
);

-- +goose Down
DROP TABLE cleave_saga_step;
DROP TABLE cleave_saga;
