-- +goose Up
-- The names of the steps that a saga was begun with, in order: position counts in them. Null in sagas from before they were kept, whose
-- steps are those of their kind.
ALTER TABLE cleave_saga ADD COLUMN steps text[];

-- +goose Down
ALTER TABLE cleave_saga DROP COLUMN steps;
