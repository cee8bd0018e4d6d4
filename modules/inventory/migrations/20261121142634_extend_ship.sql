-- +goose Up
-- modify "movement" table
ALTER TABLE "movement" ADD COLUMN "reservation_id" character varying NULL;
-- modify "reservation" table
ALTER TABLE "reservation" ADD COLUMN "extended" boolean NOT NULL DEFAULT false;

-- +goose Down
-- reverse: modify "reservation" table
ALTER TABLE "reservation" DROP COLUMN "extended";
-- reverse: modify "movement" table
ALTER TABLE "movement" DROP COLUMN "reservation_id";
