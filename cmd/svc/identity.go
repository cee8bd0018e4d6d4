//go:build identity

package main

import "github.com/cleave-go/cleave/modules/identity"

func init() { program.Modules = append(program.Modules, identity.Module) }
