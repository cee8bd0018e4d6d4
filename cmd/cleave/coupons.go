package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	ordersv1 "github.com/cleave-go/cleave/gen/cleave/orders/v1"
	"github.com/cleave-go/cleave/gen/cleave/orders/v1/ordersv1connect"
)

// couponsCommand keeps the coupons of a shop.
func couponsCommand() *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "coupons",
		Short: "Make coupons, see how often they were used, and end them",
		Long:  `Works with coupons through the public port of a shop, in the name of staff. A coupon is named by its code or its id.`,
		Example: `  cleave coupons create WELCOME10 --percent 10 --per-customer 1
  cleave coupons create SORRY --amount "500 EUR" --max-uses 100 --to 2026-12-24T00:00:00Z
  cleave coupons disable WELCOME10`,
	}
	d.flags(c)
	c.AddCommand(d.listCoupons(), d.getCoupon(), d.createCoupon(), d.disableCoupon())
	return c
}

func (d *desk) coupons() ordersv1connect.CouponServiceClient {
	return ordersv1connect.NewCouponServiceClient(d.client(), d.url)
}

func (d *desk) couponNames() cobra.CompletionFunc {
	return suggestOne(func(ctx context.Context) (names []string, err error) {
		page, err := d.coupons().ListCoupons(ctx, &ordersv1.ListCouponsRequest{PageSize: 200})
		for _, c := range page.GetCoupons() {
			names = append(names, c.GetCode())
		}
		return names, err
	})
}

var couponColumns = []string{"CODE", "WORTH", "USED", "OF", "PER CUSTOMER", "FROM", "TO", "DISABLED", "COUPON"}

// addCoupon adds a coupon to a table of these columns.
func addCoupon(rows *rows, c *ordersv1.Coupon) error {
	worth := money(c.GetAmount())
	if c.GetPercent() > 0 {
		worth = fmt.Sprint(c.GetPercent(), " %")
	}
	limit := func(n int64) string {
		if n == 0 {
			return "-"
		}
		return fmt.Sprint(n)
	}
	return rows.add(c, c.GetCode(), worth, c.GetUses(), limit(c.GetMaxUses()), limit(c.GetMaxUsesPerCustomer()), at(c.GetStartTime()), at(c.GetEndTime()),
		c.GetDisabled(), c.GetId())
}

func (d *desk) listCoupons() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List coupons, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows := tableUnless(cmd, d.json, couponColumns...)
			defer rows.end()
			return d.pages(cmd, limit, "There is no coupon.", func(size int32, token string) (int, string, error) {
				page, err := d.coupons().ListCoupons(cmd.Context(), &ordersv1.ListCouponsRequest{PageSize: size, PageToken: token})
				for _, c := range page.GetCoupons() {
					if err := addCoupon(rows, c); err != nil {
						return 0, "", err
					}
				}
				return len(page.GetCoupons()), page.GetNextPageToken(), err
			})
		},
	}
	limitFlag(c, &limit)
	return c
}

// showCoupon shows one coupon.
func (d *desk) showCoupon(cmd *cobra.Command, c *ordersv1.Coupon) error {
	rows := tableUnless(cmd, d.json, couponColumns...)
	defer rows.end()
	return addCoupon(rows, c)
}

func (d *desk) getCoupon() *cobra.Command {
	return &cobra.Command{
		Use:               "get COUPON",
		Short:             "Show a coupon",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.couponNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := d.coupons().GetCoupon(cmd.Context(), &ordersv1.GetCouponRequest{Id: args[0]})
			if err != nil {
				return d.say(err)
			}
			return d.showCoupon(cmd, answer.GetCoupon())
		},
	}
}

func (d *desk) createCoupon() *cobra.Command {
	var amount, from, to, request string
	r := &ordersv1.CreateCouponRequest{}
	c := &cobra.Command{
		Use:   "create CODE",
		Short: "Make a coupon that takes a part of the price off an order, or an amount",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			r.RequestId, r.Code = requestID(request), args[0]
			if amount != "" {
				if r.Amount, err = parseMoney(amount); err != nil {
					return err
				}
			}
			if r.StartTime, err = parseTime("--from", from); err != nil {
				return err
			}
			if r.EndTime, err = parseTime("--to", to); err != nil {
				return err
			}
			answer, err := d.coupons().CreateCoupon(cmd.Context(), r)
			if err != nil {
				return d.say(err)
			}
			return d.showCoupon(cmd, answer.GetCoupon())
		},
	}
	c.Flags().Int32Var(&r.Percent, "percent", 0, "what it takes off, in a hundred of the price of the lines")
	c.Flags().StringVar(&amount, "amount", "", `or an amount in minor units, for instance "500 EUR"`)
	c.Flags().Int64Var(&r.MaxUses, "max-uses", 0, "how often it can be used; not limited by default")
	c.Flags().Int64Var(&r.MaxUsesPerCustomer, "per-customer", 0, "how often the same customer can use it; not limited by default")
	c.Flags().StringVar(&from, "from", "", "from when on, for instance 2026-11-21T08:00:00Z; at once by default")
	c.Flags().StringVar(&to, "to", "", "until when; without end by default")
	requestFlag(c, &request)
	c.MarkFlagsOneRequired("percent", "amount")
	c.MarkFlagsMutuallyExclusive("percent", "amount")
	return c
}

func (d *desk) disableCoupon() *cobra.Command {
	var request string
	c := &cobra.Command{
		Use:               "disable COUPON",
		Short:             "End a coupon for good; orders that have used it stay as they are",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.couponNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := d.coupons().DisableCoupon(cmd.Context(), &ordersv1.DisableCouponRequest{RequestId: requestID(request), Id: args[0]})
			if err != nil {
				return d.say(err)
			}
			return d.showCoupon(cmd, answer.GetCoupon())
		},
	}
	requestFlag(c, &request)
	return c
}
