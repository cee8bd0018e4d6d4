package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
)

const (
	// fewOrders and manyOrders are how many there have been before.
	fewOrders, manyOrders = 10_000, 1_000_000
	// lists is how often a customer looks at the newest orders in a round, one look after the other. A tenth of all orders are that customer's.
	lists = 2000
)

// measureOrdersBefore lets customers order where there have been many orders, and where there have been few, in turn, on one server. What was
// before is in the tables of orders: in the others a checkout meets nothing but what it has made itself.
func measureOrdersBefore(ctx context.Context, p plan, s *stand, r *report) (err error) {
	few, err := s.withOrders(ctx, p, "few", fewOrders)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, few.drop(ctx)) }()
	many, err := s.withOrders(ctx, p, "many", manyOrders)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, many.drop(ctx)) }()
	rate := figure{What: fmt.Sprintf("orders confirmed where there have been %d before : %d", manyOrders, fewOrders), Unit: perSecond}
	both := figure{What: "processor time per 1,000 orders, shop and PostgreSQL", Unit: cpuSeconds, AtMost: 1.3}
	server := figure{What: "of that, PostgreSQL", Unit: cpuSeconds}
	list := figure{What: "processor time per 1,000 lists of a customer's newest orders", Unit: cpuSeconds, AtMost: 2}
	for round := range p.rounds {
		p.say("orders: round %d of %d, %s each after %s of warming up, and %d lists", round+1, p.rounds, p.window, p.warmUp, lists)
		for _, side := range []struct {
			*era
			of func(f *figure) *[]float64
		}{{many, func(f *figure) *[]float64 { return &f.A }}, {few, func(f *figure) *[]float64 { return &f.B }}} {
			w, perList, err := side.measure(ctx, p, uint64(round))
			if err != nil {
				return err
			}
			for f, value := range map[*figure]float64{
				&rate: w.perSecond, &both: 1000 * (w.program + w.server).Seconds() / w.orders, &server: 1000 * w.server.Seconds() / w.orders, &list: 1000 * perList.Seconds(),
			} {
				samples := side.of(f)
				*samples = append(*samples, value)
			}
		}
	}
	for _, f := range []figure{rate, both, server, list} {
		f.Part = "orders"
		r.add(f)
	}
	return nil
}

// era is a stand with a database of its own, in which there have been orders.
type era struct {
	*stand
	name, url string
}

// withOrders copies the database of the stand, and writes down orders of the past.
func (s *stand) withOrders(ctx context.Context, p plan, name string, orders int) (_ *era, err error) {
	p.say("orders: a database with %d orders", orders)
	own := *s
	e := &era{stand: &own, name: "orders_" + name, url: s.server.URLFor("orders_" + name)}
	origin := s.admin.Config().ConnConfig.Database
	s.admin.Close() // Nobody may be connected to what is copied.
	err = s.onServer(ctx, "CREATE DATABASE "+pgx.Identifier{e.name}.Sanitize()+" TEMPLATE "+pgx.Identifier{origin}.Sanitize())
	var adminErr error
	s.admin, adminErr = pgxpool.New(ctx, s.server.URL())
	if err := errors.Join(err, adminErr); err != nil {
		return nil, fmt.Errorf("copy the shop's database: %w", err)
	}
	if own.admin, err = pgxpool.New(ctx, e.url); err != nil {
		return nil, err
	}
	conn, err := own.admin.Acquire(ctx)
	if err != nil {
		return nil, errors.Join(err, e.drop(ctx))
	}
	for _, statement := range pastOrders {
		if _, err := conn.Exec(ctx, strings.ReplaceAll(statement, "{orders}", strconv.Itoa(orders))); err != nil {
			conn.Release()
			return nil, errors.Join(fmt.Errorf("write down orders of the past: %w", err), e.drop(ctx))
		}
	}
	conn.Release()
	return e, nil
}

// onServer runs a statement in a database that is always there.
func (s *stand) onServer(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.server.URLFor("template1"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// drop removes the database.
func (e *era) drop(ctx context.Context) error {
	e.admin.Close()
	return e.onServer(context.WithoutCancel(ctx), "DROP DATABASE "+pgx.Identifier{e.name}.Sanitize()+" WITH (FORCE)")
}

// pastOrders write down {orders} orders with all that the checkout has left of them in the tables of orders. One in ten is of the customer who buys.
var pastOrders = []string{
	`SET search_path = orders`, `SET session_replication_role = replica`, // No triggers: they hold by themselves.
	`INSERT INTO cart (id, user_id, state, create_time, update_time) SELECT 'crt_' || past, customer, 'converted', now() - n * interval '1 minute', now() - n * interval '1 minute'
		FROM (` + past + `) AS p`,
	`INSERT INTO "order" (id, user_id, quote_id, state, lines, total, currency, payment_method, reservation_id, payment_id, sequence, create_time, update_time)
		SELECT 'ord_' || past, customer, 'quo_' || past, 'confirmed', '[{"sku": "MUG-OAK-SMALL", "title": "Oak mug, small", "quantity": 2, "product_id": "prd_1", "unit_amount": 1500, "price_version": 1}]',
			3000, 'EUR', 'pm_card_visa', 'rsv_' || past, 'pay_' || past, 4, now() - n * interval '1 minute', now() - n * interval '1 minute' FROM (` + past + `) AS p`,
	`INSERT INTO transition (order_id, sequence, state, note) SELECT 'ord_' || past, sequence, (ARRAY['pending', 'reserved', 'paying', 'confirmed'])[sequence], 'long ago'
		FROM (` + past + `) AS p, generate_series(1, 4) AS sequence`,
	`RESET session_replication_role`, `VACUUM ANALYZE`, `CHECKPOINT`,
}

// past are numbers of orders, oldest first, their ids without the prefix, and whose they are.
const past = `SELECT n, lpad(to_hex({orders} - n), 12, '0') || '7000800000000000000' AS past, CASE WHEN n % 10 = 0 THEN 'usr_development' ELSE 'usr_' || n % 100000 END AS customer
	FROM generate_series({orders}, 1, -1) AS n`

// measure lets customers order, and then one of them look at the newest orders over and over. It returns the processor time of a look as well.
func (e *era) measure(ctx context.Context, p plan, seed uint64) (w work, perList time.Duration, err error) {
	shop, err := e.openShop(ctx, "DATABASE_URL="+e.url)
	if err != nil {
		return w, 0, err
	}
	defer func() { err = errors.Join(err, shop.close()) }()
	everybody, carts := customers{shop.url, e.skus, buyers, seed}, p.carts()
	if err := everybody.fill(ctx, carts); err != nil {
		return w, 0, err
	}
	if w, err = measureOrders(ctx, p, e.stand, shop, everybody, carts); err != nil {
		return w, 0, err
	}
	if err := waitForJobs(ctx, e.admin); err != nil {
		return w, 0, err
	}
	client := ordersv1connect.NewOrderServiceClient(http.DefaultClient, shop.url)
	before, err := processorTime(shop, e.server.PID())
	if err != nil {
		return w, 0, err
	}
	for range lists {
		answer, err := client.ListOrders(ctx, &ordersv1.ListOrdersRequest{PageSize: 20})
		if err != nil {
			return w, 0, err
		}
		if len(answer.GetOrders()) != 20 {
			return w, 0, fmt.Errorf("the customer has %d orders", len(answer.GetOrders()))
		}
	}
	after, err := processorTime(shop, e.server.PID())
	return w, (after.shop + after.server - before.shop - before.server) / lists, err
}
