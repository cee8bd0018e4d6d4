package app

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/cleave-go/cleave/platform/config"
	"github.com/cleave-go/cleave/platform/health"
	"github.com/cleave-go/cleave/platform/module"
	"github.com/cleave-go/cleave/platform/rpc"
	"github.com/cleave-go/cleave/platform/telemetry"
)

// The names of the settings that are read in more than one place.
const (
	publicAddr   = "CLEAVE_PUBLIC_ADDR"
	internalAddr = "CLEAVE_INTERNAL_ADDR"
	internalTLS  = "CLEAVE_INTERNAL_TLS"
	adminAddr    = "CLEAVE_ADMIN_ADDR"
	databaseURL  = "DATABASE_URL"
	dataDir      = "CLEAVE_DATA_DIR"
)

// moduleSetting returns the name of a setting of a module: CLEAVE_ORDERS_URL.
func moduleSetting(module, what string) string {
	return "CLEAVE_" + strings.ToUpper(module) + "_" + what
}

var adminSetting = config.Setting{Name: adminAddr, Default: "127.0.0.1:9090", Help: "address of the operator's port: /livez, /readyz, /startupz, /metrics", Check: config.IsAddr}

// settings returns everything that can be set, in the order of --help.
func (p Program) settings(house module.Map) []config.Setting {
	var list []config.Setting
	if len(p.Edge) > 0 {
		list = append(list,
			config.Setting{Name: publicAddr, Default: "127.0.0.1:8080", Help: "address of the public port, the edge", Check: config.IsAddr},
			config.Setting{Name: "PORT", Help: "port of the edge on all addresses, where " + publicAddr + " is not set", Check: config.IsInt(0, 65535)},
		)
		list = append(list, authSettings()...)
		list = append(list, doorSettings()...)
		list = append(list, publicCertificateSettings...)
	}
	if len(p.Modules) > 0 {
		list = append(list, config.Setting{Name: internalAddr, Default: "127.0.0.1:9080", Help: "address of the port for other modules; not opened where every module is local", Check: config.IsAddr},
			config.Setting{Name: internalTLS, Default: "required", Help: "required: other machines reach that port with certificates only; off: also over plain HTTP, where a mesh or a network policy says who may", Check: config.OneOf("required", "off")})
	}
	list = append(list, adminSetting)
	if len(p.Modules) > 0 {
		help := "PostgreSQL server and database, as a user who may create roles"
		if p.PrivateDatabase {
			help += "; without it a private PostgreSQL is started"
			list = append(list, config.Setting{Name: dataDir, Default: "./.cleave", Help: "folder of the private PostgreSQL"})
		}
		isPostgres := config.IsURL("postgres", "postgresql")
		list = append(list, config.Setting{Name: databaseURL, Help: help, Check: isPostgres})
		for _, m := range p.Modules {
			list = append(list, config.Setting{Name: moduleSetting(m.Name, "DATABASE_URL"), Help: "the same for module " + m.Name + " alone", Check: isPostgres})
		}
		list = append(list,
			config.Setting{Name: "CLEAVE_DATABASE_SECRET", Help: "what the passwords of the modules' roles are derived from; the password in the URL if it is not set"},
			config.Setting{Name: "CLEAVE_DATABASE_MAX_CONNS", Default: "60", Help: "database connections of this process, divided among its modules", Check: config.IsInt(1, 10000)},
			config.Setting{Name: "CLEAVE_MIGRATE", Default: "auto", Help: "auto: bring the schemas up to date at start; off: refuse to start on older ones", Check: config.OneOf("auto", "off")},
		)
	}
	for _, m := range p.Modules {
		list = append(list, m.Settings...)
	}
	local := p.local()
	for _, name := range p.neighbours(house) {
		if !local[name] {
			list = append(list, config.Setting{Name: moduleSetting(name, "URL"), Help: "internal port of module " + name + "; several URLs are separated by commas", Check: isURLs})
		}
	}
	if p.remote(house) {
		list = append(list, peerSettings()...)
	}
	list = append(list, unitCertificateSettings...)
	list = append(list,
		config.Setting{Name: "CLEAVE_MAP_FILE", Help: "file that replaces the map of the house which this binary carries"},
		config.Setting{Name: "CLEAVE_DRAIN_DELAY", Default: "0s", Help: "how long to serve on after /readyz has gone red, for balancers to notice", Check: config.IsDuration},
		config.Setting{Name: "CLEAVE_SHUTDOWN_TIMEOUT", Default: "20s", Help: "how long to wait for running requests and jobs at the stop", Check: config.IsDuration},
		config.Setting{Name: "CLEAVE_LOG_LEVEL", Default: "info", Help: "debug, info, warn or error", Check: config.OneOf("debug", "info", "warn", "error")},
		config.Setting{Name: "CLEAVE_LOG_FORMAT", Default: "auto", Help: "text, json, or auto: text on a terminal", Check: config.OneOf("auto", "text", "json")},
	)
	return append(list, telemetry.Settings()...)
}

// houseSettings returns what some unit of the house reads: one file of settings may serve them all.
func (p Program) houseSettings(house module.Map) []config.Setting {
	list := p.settings(house)
	for _, name := range house.Names() {
		list = append(list, config.Setting{Name: moduleSetting(name, "URL")}, config.Setting{Name: moduleSetting(name, "DATABASE_URL")})
	}
	list = append(list, authSettings()...)
	list = append(list, doorSettings()...)
	list = append(list, publicCertificateSettings...)
	list = append(list, peerSettings()...)
	for _, name := range []string{publicAddr, internalAddr, internalTLS, dataDir, "CLEAVE_DATABASE_SECRET", "CLEAVE_DATABASE_MAX_CONNS", "CLEAVE_MIGRATE"} {
		list = append(list, config.Setting{Name: name})
	}
	return list
}

// local returns the modules of this binary.
func (p Program) local() map[string]bool {
	local := map[string]bool{}
	for _, m := range p.Modules {
		local[m.Name] = true
	}
	return local
}

// remote reports whether a module lives elsewhere.
func (p Program) remote(house module.Map) bool {
	local := p.local()
	return slices.ContainsFunc(p.neighbours(house), func(name string) bool { return !local[name] })
}

// neighbours returns the names of all modules: those on the map, and those that only this binary knows of.
func (p Program) neighbours(house module.Map) []string {
	names := house.Names()
	add := func(services []*rpc.Service) {
		for _, service := range services {
			if !slices.Contains(names, service.Module) {
				names = append(names, service.Module)
			}
		}
	}
	add(p.Edge)
	for _, m := range p.Modules {
		add(m.Calls)
		for _, s := range m.Listens {
			if !slices.Contains(names, s.Publisher) {
				names = append(names, s.Publisher)
			}
		}
	}
	return names
}

// checkMap says what this binary would call that is not on the map.
func (p Program) checkMap(house module.Map) error {
	for _, m := range p.Modules {
		if err := house.CheckCalls(m); err != nil {
			return err
		}
	}
	for _, service := range p.Edge {
		if !house.Serves(service.Name) {
			return fmt.Errorf("the edge serves %s, which no module on the map serves: run make generate, or correct CLEAVE_MAP_FILE", service.Name)
		}
	}
	return nil
}

// load reads the settings and returns the unit that they describe.
func (p Program) load() (*unit, error) {
	house, err := module.ReadMap(p.Map)
	if err != nil {
		return nil, err
	}
	if err := p.checkMap(house); err != nil {
		return nil, err
	}
	settings := p.settings(house)
	values, err := config.Load(settings, os.LookupEnv)
	if err == nil {
		err = p.checkAuth(values)
	}
	if err != nil {
		return nil, err
	}
	log := newLogger(os.Stderr, values)
	// Kubernetes sets CLEAVE_SERVICE_HOST and the like for a service of that name: worth a warning, not worth a stop.
	for _, name := range config.Unknown(p.houseSettings(house), "CLEAVE_", os.Environ()) {
		log.Warn("unknown setting, see --help", "name", name)
	}
	h := health.New()
	return &unit{Program: p, house: house, values: values, log: log, telemetry: &telemetry.Telemetry{}, metrics: newMetrics(h), health: h}, nil
}

// newLogger returns the log of the process.
func newLogger(file *os.File, values config.Values) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(values.String("CLEAVE_LOG_LEVEL"))) // Checked by the setting.
	return telemetry.NewLog(file, values.String("CLEAVE_LOG_FORMAT"), level)
}
