package demo

import (
	"fmt"
	"strings"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

// SoldOut is the one SKU of the catalogue that has no stock.
const SoldOut = "LAMP-BRASS-SOLDOUT"

// Pieces is how many pieces there are of every other SKU.
const Pieces = 1000

// kind is a sort of product, from which the catalogue makes one product per material.
type kind struct {
	name, category string
	cents          int64
	variants       []string
}

var kinds = []kind{
	{"Mug", "kitchen", 1190, []string{"small", "large"}},
	{"Bowl", "kitchen", 1490, []string{"small", "medium", "large"}},
	{"Plate", "kitchen", 1290, []string{"20 cm", "26 cm"}},
	{"Carafe", "kitchen", 2990, []string{"0.5 l", "1 l"}},
	{"Board", "kitchen", 3490, []string{"short", "long"}},
	{"Lamp", "living", 8900, []string{"table", "floor"}},
	{"Vase", "living", 3900, []string{"slim", "round"}},
	{"Tray", "living", 2790, []string{"round", "square"}},
	{"Clock", "living", 5900, []string{"wall", "desk"}},
	{"Mirror", "living", 7900, []string{"30 cm", "60 cm"}},
	{"Stool", "furniture", 11900, []string{"low", "high"}},
	{"Shelf", "furniture", 15900, []string{"two boards", "four boards"}},
	{"Bench", "furniture", 24900, []string{"two seats", "three seats"}},
	{"Box", "office", 1990, []string{"A5", "A4"}},
	{"Pen holder", "office", 1590, []string{"single", "double"}},
	{"Bookend", "office", 2490, []string{"pair"}},
	{"Planter", "garden", 4490, []string{"12 cm", "20 cm", "30 cm"}},
	{"Lantern", "garden", 3690, []string{"small", "large"}},
	{"Bird feeder", "garden", 2890, []string{"hanging", "standing"}},
	{"Hook", "hall", 990, []string{"single", "row of five"}},
}

// material changes the price of a kind by so many percent.
type material struct {
	name    string
	percent int64
}

var materials = []material{
	{"Oak", 100}, {"Walnut", 130}, {"Ash", 95}, {"Cork", 80}, {"Bamboo", 75}, {"Stoneware", 90}, {"Porcelain", 115}, {"Glass", 85},
	{"Steel", 105}, {"Brass", 140}, {"Copper", 145}, {"Slate", 110},
}

// Catalogue returns the demo catalogue, always the same: 240 products, most with several variants.
func Catalogue() []*catalogv1.UpsertProduct {
	var products []*catalogv1.UpsertProduct
	for _, k := range kinds {
		for _, m := range materials {
			p := &catalogv1.UpsertProduct{
				Title: m.name + " " + strings.ToLower(k.name), Category: k.category,
				Description: fmt.Sprintf("%s made of %s.", k.name, strings.ToLower(m.name)),
			}
			for i, v := range k.variants {
				add(p, sku(k.name, m.name, v), v, k.cents*m.percent/100*int64(10+3*i)/10)
			}
			if k.name == "Lamp" && m.name == "Brass" {
				add(p, SoldOut, "collector's edition", 49900)
			}
			products = append(products, p)
		}
	}
	return products
}

func add(p *catalogv1.UpsertProduct, sku, title string, cents int64) {
	p.Variants = append(p.Variants, &catalogv1.UpsertVariant{Sku: sku, Title: title, Price: &typev1.Money{Amount: cents, Currency: "EUR"}})
}

func sku(words ...string) string {
	return strings.ToUpper(strings.NewReplacer(" ", "", ".", "").Replace(strings.Join(words, "-")))
}
