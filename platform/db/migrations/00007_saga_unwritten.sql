-- +goose Up
-- How often in a row the module could not write its own rows when the saga was to move on.
ALTER TABLE cleave_saga ADD COLUMN unwritten integer NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE cleave_saga DROP COLUMN unwritten;
