package cache

type flights struct{}

func (f *flights) init() {}
