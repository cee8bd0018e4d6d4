package event

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/cleave-go/cleave/gen/cleave/platform/event/v1"
	"github.com/cleave-go/cleave/gen/cleave/platform/event/v1/eventv1cleave"
	"github.com/cleave-go/cleave/platform/db"
	"github.com/cleave-go/cleave/platform/rpc"
)

const (
	// renewInterval is how often a subscriber says what it listens to, and forgetAfter how long a type is remembered that it no longer
	// names while it names others. Replicas of two releases may start in any order, also after a long time in which none was there: what
	// the newer one listens to must not be passed over because an older one has started after it.
	renewInterval = 5 * time.Minute
	forgetAfter   = time.Hour
	// subscribeTimeout bounds an attempt to subscribe.
	subscribeTimeout = 5 * time.Second
)

// subscribePause is how long a subscriber waits for its publisher.
var subscribePause = pause{100 * time.Millisecond, 10 * time.Second}

// subscribe registers the subscription with its publisher, as soon as that is there, and confirms it from then on.
func (e *Events) subscribe(s Subscription) {
	client := eventv1cleave.NewSubscriptionServiceClient(e.caller(eventv1cleave.SubscriptionService.Of(s.Publisher)).At(s.Publisher))
	request := &eventv1.SubscribeRequest{Types: s.Types(), From: s.From.wire()}
	attempts := 0
	for {
		ctx, cancel := context.WithTimeout(e.stopping, subscribeTimeout)
		_, err := client.Subscribe(ctx, request)
		cancel()
		wait := renewInterval
		switch {
		case err == nil:
			if !request.Renew || attempts > 0 {
				e.log.Info("listens to events", "publisher", s.Publisher)
			}
			attempts, request.Renew = 0, true
		case e.stopping.Err() != nil:
			return
		case connect.CodeOf(err) == connect.CodeNotFound:
			e.log.Warn("the subscription was removed; the next start of this module makes a new one", "publisher", s.Publisher)
			return
		default:
			if attempts == 0 {
				e.log.Warn("cannot subscribe to events yet", "publisher", s.Publisher, "error", err)
			}
			wait = subscribePause.after(attempts)
			attempts++
		}
		select {
		case <-time.After(wait):
		case <-e.stopping.Done():
			return
		}
	}
}

// subscriptionService is for those who listen to this module.
type subscriptionService struct{ *Events }

// Subscribe makes, or confirms, the subscription of the calling module. A type that is new in it is owed from the moment on when this
// has surely committed, or was given up.
func (s subscriptionService) Subscribe(ctx context.Context, r *eventv1.SubscribeRequest) (*eventv1.SubscribeResponse, error) {
	subscriber := rpc.MetadataOf(ctx).Caller
	if subscriber == "" {
		return nil, rpc.Errorf(connect.CodeUnauthenticated, "", "only a module can subscribe")
	}
	// After a silence of half that time the clock of every type begins anew.
	renewed, err := s.db.Pool().Exec(ctx, `UPDATE cleave_subscriber s SET update_time = now(), (types, since) = (
			SELECT jsonb_object_agg(key, value), jsonb_object_agg(key, coalesce(s.since -> key, to_jsonb(clock_timestamp() + $4::interval)))
			FROM (SELECT max(value::timestamptz) > now() - $3::interval / 2 AS heard FROM jsonb_each_text(s.types)) lately,
				LATERAL (SELECT key, CASE WHEN heard THEN value::timestamptz ELSE now() END AS value FROM jsonb_each_text(s.types || `+typesNow+`)) t
			WHERE value > now() - $3::interval
		) WHERE name = $1`, subscriber, r.GetTypes(), forgetAfter, subscribeTimeout)
	if err != nil {
		return nil, db.Unavailable(fmt.Errorf("renew the subscription of %s: %w", subscriber, err))
	}
	switch {
	case renewed.RowsAffected() > 0:
	case r.GetRenew():
		return nil, rpc.Errorf(connect.CodeNotFound, "", "%s does not listen to %s: the subscription was removed", subscriber, s.module)
	default:
		if err := s.create(ctx, subscriber, r); err != nil {
			return nil, db.Unavailable(err)
		}
	}
	s.deliveries.hurry()
	s.deliveries.come(subscriber)
	return &eventv1.SubscribeResponse{}, nil
}

// typesNow is an object of the types in $2, each with the time of the transaction.
const typesNow = "(SELECT jsonb_object_agg(t, now()) FROM unnest($2::text[]) t)"

// create makes a subscription, unless another replica of the subscriber just has. One that begins now stands behind the oldest
// transaction that is still writing: whatever commits later has an id that is not smaller, and so is read. What begins after the
// statement has begun does, so that is what is owed.
func (s subscriptionService) create(ctx context.Context, subscriber string, r *eventv1.SubscribeRequest) error {
	return s.db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var others int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM cleave_subscriber").Scan(&others); err != nil {
			return fmt.Errorf("count the subscriptions: %w", err)
		}
		if others >= maxSubscribers {
			return rpc.Errorf(connect.CodeResourceExhausted, "", "%s has %d subscribers: remove those that are gone", s.module, others)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO cleave_subscriber (name, types, since, era, transaction, position)
			SELECT $1, `+typesNow+`, (SELECT jsonb_object_agg(t, CASE WHEN $3 THEN '-infinity' ELSE clock_timestamp() END) FROM unnest($2::text[]) t),
				CASE WHEN $3 THEN 0 ELSE cleave_era() END, CASE WHEN $3 THEN '0' ELSE pg_snapshot_xmin(pg_current_snapshot()) END, 0
			ON CONFLICT DO NOTHING`, subscriber, r.GetTypes(), r.GetFrom() == eventv1.From_FROM_BEGINNING); err != nil {
			return fmt.Errorf("subscribe %s: %w", subscriber, err)
		}
		return nil
	})
}
