-- +goose Up
-- modify "reservation_line" table
ALTER TABLE "reservation_line" ADD CONSTRAINT "pieces_bounds" CHECK ((shipped >= 0) AND (withdrawn >= 0) AND ((shipped + withdrawn) <= quantity) AND (returned >= 0) AND (returned <= shipped)), ADD COLUMN "shipped" bigint NOT NULL DEFAULT 0, ADD COLUMN "returned" bigint NOT NULL DEFAULT 0, ADD COLUMN "withdrawn" bigint NOT NULL DEFAULT 0;
-- what went and came back before pieces were counted was whole reservations
UPDATE "reservation_line" SET "shipped" = "quantity", "returned" = CASE WHEN "state" = 'returned' THEN "quantity" ELSE 0 END
	FROM "reservation" WHERE "reservation"."id" = "reservation_id" AND "state" IN ('shipped', 'returned');

-- +goose Down
-- reverse: modify "reservation_line" table
ALTER TABLE "reservation_line" DROP COLUMN "withdrawn", DROP COLUMN "returned", DROP COLUMN "shipped", DROP CONSTRAINT "pieces_bounds";
