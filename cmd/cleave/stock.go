package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	inventoryv1 "github.com/cleave-go/cleave/gen/cleave/inventory/v1"
	"github.com/cleave-go/cleave/gen/cleave/inventory/v1/inventoryv1connect"
)

// stockCommand looks after the stock of a shop.
func stockCommand() *cobra.Command {
	var d desk
	c := &cobra.Command{
		Use:   "stock",
		Short: "See the stock, what came and went, what is low, and put it right",
		Long: `Works with the stock through the public port of a shop, in the name of staff with the scopes inventory:read and inventory:write. On a laptop,
where nobody signs in, that is everybody.`,
		Example: `  cleave stock list --low
  cleave stock adjust MUG-OAK-SMALL=+100 MUG-OAK-LARGE=-2 --reason "delivery of 21 November, two broken"
  cleave stock movements MUG-OAK-SMALL
  cleave stock low --json | jq -r .sku`,
	}
	d.flags(c)
	c.AddCommand(d.listStock(), d.lowStock(), d.showStock(), d.adjustStock(), d.stockMovements(), d.setThresholds(), d.stockDrift(), d.repairStock())
	return c
}

func (d *desk) inventory() inventoryv1connect.InventoryServiceClient {
	return inventoryv1connect.NewInventoryServiceClient(d.client(), d.url)
}

func (d *desk) stock() inventoryv1connect.StockServiceClient {
	return inventoryv1connect.NewStockServiceClient(d.client(), d.url)
}

// skuNames completes SKUs of the shop, the first ones.
func (d *desk) skuNames() cobra.CompletionFunc {
	return suggest(func(ctx context.Context) (names []string, err error) {
		page, err := d.stock().ListStock(ctx, &inventoryv1.ListStockRequest{PageSize: 200})
		for _, s := range page.GetStock() {
			names = append(names, s.GetSku())
		}
		return names, err
	})
}

var stockColumns = []string{"SKU", "ON HAND", "RESERVED", "AVAILABLE", "LOW AT", "LOW"}

// addStock adds a SKU to a table of these columns.
func addStock(rows *rows, s *inventoryv1.Stock) error {
	lowAt, low := "-", ""
	if s.LowAt != nil {
		lowAt = fmt.Sprint(s.GetLowAt())
	}
	if s.GetLow() {
		low = "low"
	}
	return rows.add(s, s.GetSku(), s.GetOnHand(), s.GetReserved(), s.GetAvailable(), lowAt, low)
}

func (d *desk) printStock(cmd *cobra.Command, limit int, low bool) error {
	rows := tableUnless(cmd, d.json, stockColumns...)
	defer rows.end()
	return d.pages(cmd, limit, "There is no such stock.", func(size int32, token string) (int, string, error) {
		page, err := d.stock().ListStock(cmd.Context(), &inventoryv1.ListStockRequest{PageSize: size, PageToken: token, Low: low})
		for _, s := range page.GetStock() {
			if err := addStock(rows, s); err != nil {
				return 0, "", err
			}
		}
		return len(page.GetStock()), page.GetNextPageToken(), err
	})
}

func (d *desk) listStock() *cobra.Command {
	var limit int
	var low bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List what there is, by SKU",
		Args:  cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.printStock(cmd, limit, low) },
	}
	c.Flags().BoolVar(&low, "low", false, "only what is low, as cleave stock low")
	limitFlag(c, &limit)
	return c
}

func (d *desk) lowStock() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "low",
		Short: "List what is low: of which no more can be sold than its threshold says",
		Args:  cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error { return d.printStock(cmd, limit, true) },
	}
	limitFlag(c, &limit)
	return c
}

func (d *desk) showStock() *cobra.Command {
	return &cobra.Command{
		Use:               "show SKU",
		Short:             "Show what there is of a SKU, and what came and went last",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: d.skuNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := d.stock().GetStock(cmd.Context(), &inventoryv1.GetStockRequest{Sku: args[0]})
			if err != nil {
				return d.say(err)
			}
			if err := d.printStocks(cmd, []*inventoryv1.Stock{answer.GetStock()}); err != nil || d.json {
				return err
			}
			page, err := d.stock().ListStockMovements(cmd.Context(), &inventoryv1.ListStockMovementsRequest{Sku: args[0], PageSize: 10})
			if err != nil {
				return d.say(err)
			}
			fmt.Fprintln(cmd.OutOrStdout())
			rows := tableUnless(cmd, false, movementColumns...)
			defer rows.end()
			for _, m := range page.GetMovements() {
				if err := addMovement(rows, m); err != nil {
					return err
				}
			}
			if page.GetNextPageToken() != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "There is more: cleave stock movements %s\n", args[0])
			}
			return nil
		},
	}
}

func (d *desk) printStocks(cmd *cobra.Command, stock []*inventoryv1.Stock) error {
	rows := tableUnless(cmd, d.json, stockColumns...)
	defer rows.end()
	for _, s := range stock {
		if err := addStock(rows, s); err != nil {
			return err
		}
	}
	return nil
}

func (d *desk) adjustStock() *cobra.Command {
	var reason, request string
	c := &cobra.Command{
		Use:   "adjust SKU=PIECES...",
		Short: "Say that pieces have come, or are gone: all of them or none",
		Long: `Adds pieces to the stock (MUG-OAK-SMALL=+100) or takes them away (MUG-OAK-SMALL=-2), and writes down why. What is reserved cannot be
taken away. A SKU that is not known yet has stock from then on.`,
		Example:           `  cleave stock adjust MUG-OAK-SMALL=+100 --reason "delivery of 21 November"`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: d.skuNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &inventoryv1.AdjustStockRequest{RequestId: requestID(request)}
			if err := parseCounts(args, "change of stock like MUG-OAK-SMALL=+100 or MUG-OAK-SMALL=-2", func(sku string, n int64) {
				r.Adjustments = append(r.Adjustments, &inventoryv1.StockAdjustment{Sku: sku, Delta: n, Reason: reason})
			}); err != nil {
				return err
			}
			answer, err := d.inventory().AdjustStock(cmd.Context(), r)
			if err != nil {
				return d.say(err)
			}
			rows := tableUnless(cmd, d.json, "SKU", "AVAILABLE")
			defer rows.end()
			for _, a := range answer.GetAvailabilities() {
				if err := rows.add(a, a.GetSku(), a.GetAvailable()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever reads the movements")
	requestFlag(c, &request)
	return c
}

var movementColumns = []string{"TIME", "SKU", "PIECES", "REASON", "RESERVATION", "BY"}

func addMovement(rows *rows, m *inventoryv1.StockMovement) error {
	return rows.add(m, at(m.GetCreateTime()), m.GetSku(), fmt.Sprintf("%+d", m.GetDelta()), oneLine(m.GetReason()), m.GetReservationId(), m.GetUserId())
}

func (d *desk) stockMovements() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:               "movements [SKU]",
		Short:             "List what came and went, newest first: of a SKU, or of all",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: d.skuNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			rows := tableUnless(cmd, d.json, movementColumns...)
			defer rows.end()
			sku := strings.Join(args, "")
			return d.pages(cmd, limit, "Nothing has come or gone.", func(size int32, token string) (int, string, error) {
				page, err := d.stock().ListStockMovements(cmd.Context(), &inventoryv1.ListStockMovementsRequest{PageSize: size, PageToken: token, Sku: sku})
				for _, m := range page.GetMovements() {
					if err := addMovement(rows, m); err != nil {
						return 0, "", err
					}
				}
				return len(page.GetMovements()), page.GetNextPageToken(), err
			})
		},
	}
	limitFlag(c, &limit)
	return c
}

func (d *desk) setThresholds() *cobra.Command {
	var request string
	c := &cobra.Command{
		Use:   "threshold SKU=PIECES...",
		Short: "Say when a SKU is low: when no more than so many can be sold; SKU=none ends that",
		Long: `Says when a SKU is low, which cleave stock low lists and the event StockRanLow tells of. Without a threshold (MUG-OAK-SMALL=none) it never
is.`,
		Example:           "  cleave stock threshold MUG-OAK-SMALL=10 MUG-OAK-LARGE=none",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: d.skuNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := &inventoryv1.SetStockThresholdsRequest{RequestId: requestID(request)}
			for _, word := range args {
				if sku, ends := strings.CutSuffix(word, "=none"); ends && sku != "" {
					r.Thresholds = append(r.Thresholds, &inventoryv1.StockThreshold{Sku: sku})
					continue
				}
				if err := parseCounts([]string{word}, "threshold like MUG-OAK-SMALL=10 or MUG-OAK-SMALL=none", func(sku string, n int64) {
					r.Thresholds = append(r.Thresholds, &inventoryv1.StockThreshold{Sku: sku, LowAt: proto.Int64(n)})
				}); err != nil {
					return err
				}
			}
			answer, err := d.stock().SetStockThresholds(cmd.Context(), r)
			if err != nil {
				return d.say(err)
			}
			return d.printStocks(cmd, answer.GetStock())
		},
	}
	requestFlag(c, &request)
	return c
}

// addDrift adds a SKU that contradicts itself.
func addDrift(rows *rows, s *inventoryv1.StockDrift) error {
	return rows.add(s, s.GetSku(), s.GetOnHand(), s.GetMoved(), s.GetReserved(), s.GetHeld(), at(s.GetCreateTime()))
}

func (d *desk) stockDrift() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "drift",
		Short: "List SKUs whose figures contradict their movements or reservations; none, if all is well",
		Long: `Lists what the last audit of the stock has found. MOVED is what should be on hand, as the movements add up, and HELD what should be reserved, as
live reservations add up. That they differ is a bug, or somebody's hand in the database: find out which, then see cleave stock repair.`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows := tableUnless(cmd, d.json, "SKU", "ON HAND", "MOVED", "RESERVED", "HELD", "FOUND")
			defer rows.end()
			return d.pages(cmd, limit, "Nothing contradicts itself, as far as the last audit has seen.", func(size int32, token string) (int, string, error) {
				page, err := d.stock().ListStockDrifts(cmd.Context(), &inventoryv1.ListStockDriftsRequest{PageSize: size, PageToken: token})
				for _, s := range page.GetDrifts() {
					if err := addDrift(rows, s); err != nil {
						return 0, "", err
					}
				}
				return len(page.GetDrifts()), page.GetNextPageToken(), err
			})
		},
	}
	limitFlag(c, &limit)
	return c
}

func (d *desk) repairStock() *cobra.Command {
	var reason, request string
	c := &cobra.Command{
		Use:   "repair SKU...",
		Short: "Make the figures of SKUs what movements and reservations say: all of them or none",
		Long: `Makes what is on hand the sum of the movements, and what is reserved the sum of the live reservations, and leaves a movement of 0 pieces that
says what the figures were. It shows those that were wrong. Look first what is wrong, because afterwards only that movement tells of it.`,
		Example:           `  cleave stock repair MUG-OAK-SMALL --reason "changed by hand in the database"`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: d.skuNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return errors.New("say why with --reason: whoever reads the movements will wonder")
			}
			answer, err := d.stock().RepairStock(cmd.Context(), &inventoryv1.RepairStockRequest{RequestId: requestID(request), Skus: args, Reason: reason})
			if err != nil {
				return d.say(err)
			}
			if len(answer.GetRepaired()) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "Nothing was wrong.")
				return nil
			}
			rows := tableUnless(cmd, d.json, "SKU", "ON HAND WAS", "IS", "RESERVED WAS", "IS")
			defer rows.end()
			for _, s := range answer.GetRepaired() {
				if err := rows.add(s, s.GetSku(), s.GetOnHand(), s.GetMoved(), s.GetReserved(), s.GetHeld()); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why the figures were wrong, as far as it is known")
	requestFlag(c, &request)
	return c
}
