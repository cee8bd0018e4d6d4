package resilience

// Figures are what tests make smaller.
type Figures = figures

// NewWith returns a network with other settings and figures.
func NewWith(c Config, change func(*Config, *Figures)) (*Network, error) {
	f := standard()
	change(&c, &f)
	return newNetwork(c, f)
}
