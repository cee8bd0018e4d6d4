//go:build notifications

package main

import "github.com/cleave-go/cleave/modules/notifications"

func init() { program.Modules = append(program.Modules, notifications.Module) }
