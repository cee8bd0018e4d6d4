package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	"github.com/cleave-go/cleave/gen/cleave/catalog/v1/catalogv1connect"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

// products are the commands around the catalogue, through the public port.
type products struct{ desk }

func productsCommand() *cobra.Command {
	p := &products{}
	c := &cobra.Command{
		Use:   "products",
		Short: "List, search, publish, archive and import products",
		Long: `Works with the products of a shop through its public port. What is for sale everybody may see. Drafts, and everything that changes something, are
for staff: name an access token with the scopes catalog:read and catalog:write. On a laptop, where nobody signs in, that is everybody.`,
	}
	c.AddCommand(p.list(), p.search(), p.get(), p.publish(), p.archive(), p.importFile())
	p.flags(c)
	return c
}

func (p *products) catalog() catalogv1connect.CatalogServiceClient {
	return catalogv1connect.NewCatalogServiceClient(p.client(), p.url)
}

// productStates are the words for --state.
var productStates = map[string]catalogv1.ProductState{
	"draft": catalogv1.ProductState_PRODUCT_STATE_DRAFT, "published": catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
	"archived": catalogv1.ProductState_PRODUCT_STATE_ARCHIVED, "all": catalogv1.ProductState_PRODUCT_STATE_UNSPECIFIED,
}

func (p *products) list() *cobra.Command {
	var state, category string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List products: those for sale, unless --state says otherwise",
		Example: `  cleave products list --category kitchen
  cleave products list --state draft --limit 20`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, known := productStates[state]
			switch {
			case !known:
				return fmt.Errorf("--state %q is none of draft, published, archived and all", state)
			case category != "" && state != "published":
				return errors.New("--category is for products that are published: leave one of --category and --state out")
			}
			return p.print(cmd, limit, func(size int32, token string) ([]*catalogv1.Product, string, error) {
				if state == "published" {
					page, err := p.catalog().ListProducts(cmd.Context(), &catalogv1.ListProductsRequest{PageSize: size, PageToken: token, Category: category})
					return page.GetProducts(), page.GetNextPageToken(), err
				}
				page, err := p.catalog().InspectProducts(cmd.Context(), &catalogv1.InspectProductsRequest{PageSize: size, PageToken: token, State: filter})
				return page.GetProducts(), page.GetNextPageToken(), err
			})
		},
	}
	c.Flags().StringVar(&state, "state", "published", "draft, published, archived or all")
	c.Flags().StringVar(&category, "category", "", "only this category")
	c.Flags().IntVar(&limit, "limit", 50, "how many at most")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions([]string{"all", "archived", "draft", "published"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("category", suggest(p.categories))
	return c
}

// categories returns the names of the categories, to complete one.
func (p *products) categories(ctx context.Context) (names []string, err error) {
	page, err := p.catalog().ListCategories(ctx, &catalogv1.ListCategoriesRequest{PageSize: 200})
	for _, c := range page.GetCategories() {
		names = append(names, c.GetName())
	}
	return names, err
}

func (p *products) search() *cobra.Command {
	var category string
	var limit int
	c := &cobra.Command{
		Use:     "search WORD...",
		Short:   "Search the products that are for sale, the best first",
		Example: "  cleave products search oak mug",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			query, told := strings.Join(args, " "), false
			return p.print(cmd, limit, func(size int32, token string) ([]*catalogv1.Product, string, error) {
				page, err := p.catalog().SearchProducts(cmd.Context(), &catalogv1.SearchProductsRequest{Query: query, Category: category, PageSize: size, PageToken: token})
				if instead := page.GetCorrectedQuery(); instead != "" && !told {
					told = true
					fmt.Fprintf(cmd.ErrOrStderr(), "Also looked for: %s\n", instead)
				}
				return page.GetProducts(), page.GetNextPageToken(), err
			})
		},
	}
	c.Flags().StringVar(&category, "category", "", "only this category")
	c.Flags().IntVar(&limit, "limit", 20, "how many at most")
	_ = c.RegisterFlagCompletionFunc("category", suggest(p.categories))
	return c
}

// print prints products, as many as the limit says.
func (p *products) print(cmd *cobra.Command, limit int, fetch func(size int32, token string) ([]*catalogv1.Product, string, error)) error {
	rows := tableUnless(cmd, p.json, "ID", "TITLE", "CATEGORY", "STATE", "VARIANTS", "FROM")
	defer rows.end()
	return p.pages(cmd, limit, "There is no such product.", func(size int32, token string) (int, string, error) {
		list, next, err := fetch(size, token)
		for _, product := range list {
			err := rows.add(product, product.GetId(), oneLine(product.GetTitle()), product.GetCategory(), productState(product), len(product.GetVariants()), cheapest(product))
			if err != nil {
				return 0, "", err
			}
		}
		return len(list), next, err
	})
}

// productState is the word for a product's state.
func productState(p *catalogv1.Product) string { return word(p.GetState(), "PRODUCT_STATE_") }

// cheapest returns the lowest price of a product, in minor units as everywhere.
func cheapest(p *catalogv1.Product) string {
	var least *typev1.Money
	for _, v := range p.GetVariants() {
		if least == nil || v.GetPrice().GetAmount() < least.GetAmount() {
			least = v.GetPrice()
		}
	}
	return money(least)
}

func (p *products) get() *cobra.Command {
	return &cobra.Command{
		Use:     "get ID",
		Short:   "Show a product and its variants",
		Example: "  cleave products get prd_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			published, err := p.catalog().GetProduct(cmd.Context(), &catalogv1.GetProductRequest{Id: args[0]})
			product := published.GetProduct()
			if connect.CodeOf(err) == connect.CodeNotFound { // For staff there may be more.
				inspected, inspectErr := p.catalog().InspectProduct(cmd.Context(), &catalogv1.InspectProductRequest{Id: args[0]})
				if inspectErr == nil {
					product, err = inspected.GetProduct(), nil
				}
			}
			if err != nil {
				return p.say(err)
			}
			return p.show(cmd.OutOrStdout(), product)
		},
	}
}

// show prints one product.
func (p *products) show(out io.Writer, product *catalogv1.Product) error {
	if p.json {
		return line(out, product)
	}
	fmt.Fprintf(out, "%s %s is %s\n%s\n", product.GetId(), product.GetTitle(), productState(product), product.GetDescription())
	if product.GetCategory() != "" {
		fmt.Fprintln(out, "Category:", product.GetCategory())
	}
	for _, image := range product.GetImages() {
		fmt.Fprintln(out, "Image:", image)
	}
	fmt.Fprintf(out, "Changed %s, etag %s\n\n", at(product.GetUpdateTime()), product.GetEtag())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SKU\tVARIANT\tPRICE\tPRICE VERSION")
	for _, v := range product.GetVariants() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", v.GetSku(), oneLine(v.GetTitle()), money(v.GetPrice()), v.GetPriceVersion())
	}
	return w.Flush()
}

func (p *products) publish() *cobra.Command {
	return p.change("publish", "Offer drafts for sale", func(cmd *cobra.Command, productID string) (*catalogv1.Product, error) {
		answer, err := p.catalog().PublishProduct(cmd.Context(), &catalogv1.PublishProductRequest{RequestId: requestID(""), Id: productID})
		return answer.GetProduct(), err
	})
}

func (p *products) archive() *cobra.Command {
	return p.change("archive", "Take products from sale, for good", func(cmd *cobra.Command, productID string) (*catalogv1.Product, error) {
		answer, err := p.catalog().ArchiveProduct(cmd.Context(), &catalogv1.ArchiveProductRequest{RequestId: requestID(""), Id: productID})
		return answer.GetProduct(), err
	})
}

// change is a command that brings products into another state, each for itself.
func (p *products) change(verb, short string, change func(cmd *cobra.Command, productID string) (*catalogv1.Product, error)) *cobra.Command {
	return &cobra.Command{
		Use: verb + " ID...", Short: short, Args: cobra.MinimumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  cleave products " + verb + " prd_0193a1b2c3d47e8f9a0b1c2d3e4f5a6b",
		RunE: func(cmd *cobra.Command, args []string) error {
			var failed []error
			for _, productID := range args {
				product, err := change(cmd, productID)
				switch {
				case err != nil:
					failed = append(failed, fmt.Errorf("%s: %w", productID, p.say(err)))
				case p.json:
					failed = append(failed, line(cmd.OutOrStdout(), product))
				default:
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s is %s\n", productID, oneLine(product.GetTitle()), productState(product))
				}
			}
			return errors.Join(failed...)
		},
	}
}
