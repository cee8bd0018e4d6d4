package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
)

// ordersCommand does with orders what staff does all day.
func ordersCommand() *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "orders",
		Short: "See orders, ship them, take back what comes back, cancel",
		Long: `Works with orders through the public port of a shop, in the name of whom the token names. Staff meets everybody's orders; others
meet their own, and do not ship. Amounts are in minor units: 1990 EUR are 19.90 euro.`,
		Example: `  cleave orders list --user -
  cleave orders ship ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b MUG-OAK-SMALL=1 --tracking JD0146
  cleave orders return ord_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b MUG-OAK-SMALL=1 --reason "too small"
  cleave orders list --user - --json | jq -r 'select(.state == "ORDER_STATE_CONFIRMED") | .id' | xargs -n 1 cleave orders ship`,
	}
	d.flags(c)
	c.AddCommand(d.listOrders(), d.getOrder(), d.orderEvents(), d.cancelOrder(), d.shipOrder(), d.returnLines())
	return c
}

func (d *desk) orders() ordersv1connect.OrderServiceClient {
	return ordersv1connect.NewOrderServiceClient(d.client(), d.url)
}

func (d *desk) parcels() ordersv1connect.FulfillmentServiceClient {
	return ordersv1connect.NewFulfillmentServiceClient(d.client(), d.url)
}

// orderNames completes the ids of the latest orders that the caller may meet.
func (d *desk) orderNames() cobra.CompletionFunc {
	return suggestOne(func(ctx context.Context) (names []string, err error) {
		for _, user := range []string{"-", ""} {
			page, err := d.orders().ListOrders(ctx, &ordersv1.ListOrdersRequest{PageSize: 50, UserId: user})
			if err != nil {
				continue
			}
			for _, o := range page.GetOrders() {
				names = append(names, o.GetId())
			}
			return names, nil
		}
		return nil, nil
	})
}

func (d *desk) listOrders() *cobra.Command {
	var user string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List orders, newest first: one's own, or somebody else's",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows := tableUnless(cmd, d.json, "ORDER", "STATE", "TOTAL", "LINES", "USER", "PLACED", "REASON")
			defer rows.end()
			return d.pages(cmd, limit, "There is no such order.", func(size int32, token string) (int, string, error) {
				page, err := d.orders().ListOrders(cmd.Context(), &ordersv1.ListOrdersRequest{UserId: user, PageSize: size, PageToken: token})
				for _, o := range page.GetOrders() {
					if err := rows.add(o, o.GetId(), orderState(o), money(o.GetTotal()), len(o.GetLines()), o.GetUserId(), at(o.GetCreateTime()), o.GetReason()); err != nil {
						return 0, "", err
					}
				}
				return len(page.GetOrders()), page.GetNextPageToken(), err
			})
		},
	}
	c.Flags().StringVar(&user, "user", "", `whose: the id of a user, or "-" for everybody's; one's own by default`)
	limitFlag(c, &limit)
	return c
}

func orderState(o *ordersv1.Order) string { return word(o.GetState(), "ORDER_STATE_") }

func (d *desk) getOrder() *cobra.Command {
	return &cobra.Command{
		Use:               "get ORDER",
		Short:             "Show an order, its parcels, and what came back",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.orderNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := d.orders().GetOrder(cmd.Context(), &ordersv1.GetOrderRequest{Id: args[0]})
			if err != nil {
				return d.say(err)
			}
			if d.json {
				return line(cmd.OutOrStdout(), answer.GetOrder())
			}
			d.showOrder(cmd, answer.GetOrder())
			parcels, err := d.parcels().ListFulfillments(cmd.Context(), &ordersv1.ListFulfillmentsRequest{OrderId: args[0], PageSize: 200})
			if err != nil {
				return d.say(err)
			}
			reversals, err := d.parcels().ListReversals(cmd.Context(), &ordersv1.ListReversalsRequest{OrderId: args[0], PageSize: 200})
			if err != nil {
				return d.say(err)
			}
			if len(parcels.GetFulfillments()) > 0 {
				fmt.Fprintln(cmd.OutOrStdout())
				shown := tableUnless(cmd, false, "PARCEL", "SHIPPED", "TRACKING", "PIECES")
				for _, f := range parcels.GetFulfillments() {
					shown.row(f.GetId(), at(f.GetCreateTime()), f.GetTrackingCode(), pieces(f.GetLines()))
				}
				shown.end()
			}
			if len(reversals.GetReversals()) > 0 {
				fmt.Fprintln(cmd.OutOrStdout())
				shown := tableUnless(cmd, false, "REVERSAL", "KIND", "STATE", "REFUND", "PIECES", "REASON")
				for _, r := range reversals.GetReversals() {
					shown.row(r.GetId(), word(r.GetKind(), "REVERSAL_KIND_"), word(r.GetState(), "REVERSAL_STATE_"), money(r.GetRefund()), pieces(r.GetLines()), r.GetReason())
				}
				shown.end()
			}
			return nil
		},
	}
}

func (d *desk) showOrder(cmd *cobra.Command, o *ordersv1.Order) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s of %s is %s", o.GetId(), o.GetUserId(), orderState(o))
	if o.GetReason() != "" {
		fmt.Fprintf(out, " (%s)", o.GetReason())
	}
	fmt.Fprintf(out, " since %s\n\n", at(o.GetUpdateTime()))
	shown := tableUnless(cmd, false, "SKU", "TITLE", "PIECES", "EACH", "TOTAL")
	for _, l := range o.GetLines() {
		shown.row(l.GetSku(), l.GetTitle(), l.GetQuantity(), money(l.GetUnitPrice()), money(l.GetTotal()))
	}
	if o.GetDiscount() != nil {
		shown.row("", "coupon "+o.GetCouponCode(), "", "", "-"+money(o.GetDiscount()))
	}
	if o.GetTax() != nil {
		shown.row("", "tax", "", "", money(o.GetTax()))
	}
	if o.GetShipping() != nil {
		shown.row("", "shipping", "", "", money(o.GetShipping()))
	}
	shown.row("", "total", "", "", money(o.GetTotal()))
	shown.end()
}

// pieces writes pieces as they are named on the command line.
func pieces(lines []*ordersv1.LineQuantity) string {
	var words []string
	for _, l := range lines {
		words = append(words, fmt.Sprintf("%s=%d", l.GetSku(), l.GetQuantity()))
	}
	return strings.Join(words, " ")
}

// parsePieces reads pieces such as MUG-OAK-SMALL=2.
func parsePieces(words []string) (lines []*ordersv1.LineQuantity, err error) {
	err = parseCounts(words, "number of pieces like MUG-OAK-SMALL=2", func(sku string, n int64) {
		lines = append(lines, &ordersv1.LineQuantity{Sku: sku, Quantity: n})
	})
	return lines, err
}

func (d *desk) orderEvents() *cobra.Command {
	return &cobra.Command{
		Use:               "events ORDER",
		Short:             "Show the log of an order: everything that has ever changed in it",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.orderNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			rows := tableUnless(cmd, d.json, "NUMBER", "TIME", "STATE", "NOTE", "REASON")
			defer rows.end()
			request := &ordersv1.ListOrderEventsRequest{OrderId: args[0], PageSize: 200}
			for {
				page, err := d.orders().ListOrderEvents(cmd.Context(), request)
				if err != nil {
					return d.say(err)
				}
				for _, e := range page.GetEvents() {
					is := ""
					if e.GetState() != ordersv1.OrderState_ORDER_STATE_UNSPECIFIED {
						is = word(e.GetState(), "ORDER_STATE_")
					}
					if err := rows.add(e, e.GetSequence(), at(e.GetTime()), is, e.GetNote(), e.GetReason()); err != nil {
						return err
					}
					request.AfterSequence = e.GetSequence()
				}
				if len(page.GetEvents()) == 0 {
					return nil
				}
			}
		},
	}
}

func (d *desk) cancelOrder() *cobra.Command {
	var rest bool
	var request string
	c := &cobra.Command{
		Use:   "cancel ORDER",
		Short: "Cancel an order, or what of it has not been shipped",
		Long: `Cancels an order of which nothing was shipped, and returns what was paid. With --rest it ends the part of an order that was not
shipped when another part was. Stock and money follow by themselves.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.orderNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rest {
				answer, err := d.parcels().CancelRest(cmd.Context(), &ordersv1.CancelRestRequest{RequestId: requestID(request), OrderId: args[0]})
				if err != nil {
					return d.say(err)
				}
				return d.reversed(cmd, answer.GetReversal(), answer.GetOrder())
			}
			answer, err := d.orders().CancelOrder(cmd.Context(), &ordersv1.CancelOrderRequest{RequestId: requestID(request), Id: args[0]})
			if err != nil {
				return d.say(err)
			}
			if d.json {
				return line(cmd.OutOrStdout(), answer.GetOrder())
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Order %s is %s\n", args[0], orderState(answer.GetOrder()))
			return nil
		},
	}
	c.Flags().BoolVar(&rest, "rest", false, "only what has not been shipped")
	requestFlag(c, &request)
	return c
}

func (d *desk) shipOrder() *cobra.Command {
	var tracking, request string
	c := &cobra.Command{
		Use:               "ship ORDER [SKU=PIECES]...",
		Short:             "Say that pieces of an order have left the house: all that are left, if none are named",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: d.orderNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := parsePieces(args[1:])
			if err != nil {
				return err
			}
			answer, err := d.parcels().CreateFulfillment(cmd.Context(), &ordersv1.CreateFulfillmentRequest{
				RequestId: requestID(request), OrderId: args[0], Lines: lines, TrackingCode: tracking,
			})
			if err != nil {
				return d.say(err)
			}
			if d.json {
				return line(cmd.OutOrStdout(), answer.GetFulfillment())
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Shipped %s as %s; order %s is %s\n",
				pieces(answer.GetFulfillment().GetLines()), answer.GetFulfillment().GetId(), args[0], orderState(answer.GetOrder()))
			return nil
		},
	}
	c.Flags().StringVar(&tracking, "tracking", "", "code by which the customer can follow the parcel")
	requestFlag(c, &request)
	return c
}

func (d *desk) returnLines() *cobra.Command {
	var reason, request string
	var discard bool
	c := &cobra.Command{
		Use:               "return ORDER SKU=PIECES...",
		Short:             "Say that pieces of an order have come back; what was paid for them goes back",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: d.orderNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := parsePieces(args[1:])
			if err != nil {
				return err
			}
			answer, err := d.parcels().ReturnLines(cmd.Context(), &ordersv1.ReturnLinesRequest{
				RequestId: requestID(request), OrderId: args[0], Lines: lines, Discard: discard, Reason: reason,
			})
			if err != nil {
				return d.say(err)
			}
			return d.reversed(cmd, answer.GetReversal(), answer.GetOrder())
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for people")
	c.Flags().BoolVar(&discard, "discard", false, "the pieces cannot be sold again")
	requestFlag(c, &request)
	return c
}

// reversed tells of pieces that are not the customer's any more.
func (d *desk) reversed(cmd *cobra.Command, r *ordersv1.Reversal, o *ordersv1.Order) error {
	if d.json {
		return line(cmd.OutOrStdout(), r)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s of %s: %s go back by %s; order %s is %s\n",
		pieces(r.GetLines()), word(r.GetKind(), "REVERSAL_KIND_"), money(r.GetRefund()), r.GetId(), o.GetId(), orderState(o))
	return nil
}
