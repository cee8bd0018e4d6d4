package test

import "github.com/cleave-go/cleave/test/house"

// shop is a house at work.
type shop = house.House

// layout is a way to divide the house.
type layout struct {
	house.Layout
	options house.Options
	// faults says that the faults are tried in it, too.
	faults bool
}

var layouts = []layout{{Layout: house.AllInOne}, {Layout: house.AllApart, faults: true}, {Layout: house.Mixed, options: house.Options{TLS: true}}}
