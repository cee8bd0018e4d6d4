-- +goose Up
-- What an operator asks about sagas: who drives one, or did last, and when it last got on. Neither is in an index, so that a saga that is
-- driven straight through does not pay for it.
ALTER TABLE cleave_saga ADD COLUMN driver text NOT NULL DEFAULT '', ADD COLUMN progress_time timestamptz NOT NULL DEFAULT now();
UPDATE cleave_saga SET progress_time = update_time;
-- Few are open at a time, and they are looked for often.
CREATE INDEX cleave_saga_open ON cleave_saga (create_time, id) WHERE phase IN ('forward', 'back');

-- +goose Down
DROP INDEX cleave_saga_open;
ALTER TABLE cleave_saga DROP COLUMN driver, DROP COLUMN progress_time;
