-- +goose Up
-- Answers of mutating methods, so that a repetition with the same request_id gets the first answer again.
CREATE TABLE cleave_request (
	caller text NOT NULL,
	method text NOT NULL,
	request_id text NOT NULL,
	fingerprint bytea NOT NULL,
	response bytea,
	create_time timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (caller, method, request_id)
);
CREATE INDEX cleave_request_create_time ON cleave_request (create_time);

-- +goose Down
DROP TABLE cleave_request;
