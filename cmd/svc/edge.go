//go:build edge

package main

import (
	"github.com/cleave-go/cleave/gen/contract"
	"github.com/cleave-go/cleave/gen/openapi"
)

func init() { program.Edge, program.OpenAPI = contract.Services(), openapi.Document }
