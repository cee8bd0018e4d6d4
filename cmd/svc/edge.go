//go:build edge

package main

import "github.com/cleave-go/cleave/gen/contract"

func init() { program.Edge = contract.Services() }
