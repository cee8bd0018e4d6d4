//go:build payments

package main

import "github.com/cleave-go/cleave/modules/payments"

func init() { program.Modules = append(program.Modules, payments.Module) }
