-- +goose Up
-- The processes that work the jobs of this schema, as long as they say so: a job that runs for one that is not here is run by nobody.
-- Not logged: after a crash of the server everybody says so again.
CREATE UNLOGGED TABLE cleave_job_client (
	client text PRIMARY KEY,
	replica text NOT NULL,
	-- Since when the lease was held without a gap.
	since_time timestamptz NOT NULL,
	expire_time timestamptz NOT NULL
);

-- +goose Down
DROP TABLE cleave_job_client;
