package catalog

import (
	"slices"

	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/cleave-go/cleave/gen/cleave/catalog/v1"
	typev1 "github.com/cleave-go/cleave/gen/cleave/type/v1"
)

// state is where a product is in its life. The words are those of the table.
type state string

const (
	draft     state = "draft"
	published state = "published"
	archived  state = "archived"
)

// transitions are the legal ones. What was archived does not come back: orders refer to it as it was.
var transitions = map[state][]state{
	draft:     {published},
	published: {archived},
}

// canBecome reports whether a product may go from one state to another.
func (s state) canBecome(next state) bool { return slices.Contains(transitions[s], next) }

var messageStates = map[state]catalogv1.ProductState{
	draft:     catalogv1.ProductState_PRODUCT_STATE_DRAFT,
	published: catalogv1.ProductState_PRODUCT_STATE_PUBLISHED,
	archived:  catalogv1.ProductState_PRODUCT_STATE_ARCHIVED,
}

// stateOf returns the state that a message names; otherwise if it names none.
func stateOf(m catalogv1.ProductState, otherwise state) state {
	for s, message := range messageStates {
		if message == m {
			return s
		}
	}
	return otherwise
}

// nextPriceVersion returns the version of a price after it was set: the same if nothing changed, so that a quote can tell.
func nextPriceVersion(version int64, old, price *typev1.Money) int64 {
	if proto.Equal(old, price) {
		return version
	}
	return version + 1
}

// change is what becomes of a product.
type change struct {
	before *catalogv1.Product // Nil if it is new.
	after  *catalogv1.Product
}

// newChange gives what a product shall be all that it is not for the writer to say. It becomes the product with this id.
func newChange(id string, before, after *catalogv1.Product) change {
	after.Id, after.Etag, after.CreateTime, after.UpdateTime = id, before.GetEtag(), before.GetCreateTime(), before.GetUpdateTime()
	versions := map[string]*catalogv1.Variant{}
	for _, v := range before.GetVariants() {
		versions[v.GetSku()] = v
	}
	for _, v := range after.GetVariants() {
		v.ProductId, v.ProductTitle, v.PriceVersion = id, after.GetTitle(), 1
		if old := versions[v.GetSku()]; old != nil {
			v.PriceVersion = nextPriceVersion(old.GetPriceVersion(), old.GetPrice(), v.GetPrice())
		}
	}
	return change{before, after}
}

// nothing reports whether the product stays as it is.
func (c change) nothing() bool { return proto.Equal(c.before, c.after) }

// searched reports whether it makes a difference to who searches.
func (c change) searched() bool {
	was, is := c.before, c.after
	return was.GetState() != is.GetState() || was.GetTitle() != is.GetTitle() || was.GetCategory() != is.GetCategory() || was.GetDescription() != is.GetDescription()
}

// events are what others are told of the change.
func (c change) events() (events []proto.Message) {
	was, is := c.before.GetState(), c.after.GetState()
	if is != was && is == messageStates[published] {
		events = append(events, &catalogv1.ProductPublished{ProductId: c.after.GetId(), Skus: skusOf(c.after)})
	}
	if is != was && is == messageStates[archived] {
		events = append(events, &catalogv1.ProductArchived{ProductId: c.after.GetId(), Skus: skusOf(c.after)})
	}
	repriced := &catalogv1.PriceChanged{ProductId: c.after.GetId()}
	for _, v := range c.after.GetVariants() {
		i := slices.IndexFunc(c.before.GetVariants(), func(old *catalogv1.Variant) bool { return old.GetSku() == v.GetSku() })
		if i < 0 {
			continue
		}
		if old := c.before.GetVariants()[i]; old.GetPriceVersion() != v.GetPriceVersion() {
			repriced.Prices = append(repriced.Prices, &catalogv1.VariantPrice{
				Sku: v.GetSku(), Price: v.GetPrice(), PriceVersion: v.GetPriceVersion(), OldPrice: old.GetPrice(),
			})
		}
	}
	if len(repriced.GetPrices()) > 0 {
		events = append(events, repriced)
	}
	return events
}

func skusOf(p *catalogv1.Product) []string {
	skus := make([]string, 0, len(p.GetVariants()))
	for _, v := range p.GetVariants() {
		skus = append(skus, v.GetSku())
	}
	return skus
}
