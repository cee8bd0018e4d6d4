//go:build orders

package main

import "github.com/cleave-go/cleave/modules/orders"

func init() { program.Modules = append(program.Modules, orders.Module) }
