import TCPStack
import TCPWire
import Testing

@Suite("The timing wheel behaves as a sorted list of timers")
struct TimingWheelModelTests {
    #if DEBUG
        static let seeds = 8
    #else
        static let seeds = 150
    #endif

    /// The plainest wheel: when each timer is due, in ticks.
    private struct Model {
        var due: [UInt32: Int64] = [:]
        var current: Int64

        private func tick(_ instant: Int64) -> Int64 {
            let tick = TimingWheelProbe.tick
            return max(instant / tick + (instant % tick == 0 ? 0 : 1), current + 1)
        }

        mutating func schedule(_ timer: UInt32, at instant: Int64) {
            due[timer] = min(due[timer] ?? .max, tick(instant))
        }

        mutating func reschedule(_ timer: UInt32, at instant: Int64) { due[timer] = tick(instant) }

        mutating func pop(at now: Int64) -> Set<UInt32> {
            current = max(current, now / TimingWheelProbe.tick)
            let fired = Set(due.filter { $0.value <= current }.keys)
            for timer in fired { due[timer] = nil }
            return fired
        }
    }

    @Test("Every timer fires at its tick, never earlier and never later, however it was set before")
    func fires() {
        for seed in 0..<UInt64(Self.seeds) {
            var random = WheelRandom(state: seed)
            var now = Int64.random(in: 0...1 << 50, using: &random)
            var wheel = TimingWheelProbe(at: Instant(nanoseconds: now))
            var model = Model(current: now / TimingWheelProbe.tick)
            let timers = (0..<24).map { _ in wheel.add() }
            for _ in 0..<120 {
                let timer = timers.randomElement(using: &random)!
                // Delays of all magnitudes, up to 24 hours.
                let delay = Int64.random(in: -5...1 << Int64.random(in: 0...46, using: &random), using: &random)
                let instant = Instant(nanoseconds: now + delay)
                switch Int.random(in: 0..<6, using: &random) {
                case 0, 1:
                    wheel.schedule(timer, at: instant)
                    model.schedule(timer, at: instant.nanoseconds)
                case 2:
                    wheel.reschedule(timer, at: instant)
                    model.reschedule(timer, at: instant.nanoseconds)
                case 3:
                    wheel.cancel(timer)
                    model.due[timer] = nil
                case 4:  // as a loop does that waits for the deadline
                    now = max(now, wheel.nextDeadline?.nanoseconds ?? now)
                    expectFired(&wheel, &model, now, seed)
                default:
                    now += Int64.random(in: 0...1 << Int64.random(in: 0...44, using: &random), using: &random)
                    expectFired(&wheel, &model, now, seed)
                }
                #expect(wheel.count == model.due.count, "seed \(seed)")
                expectDeadline(wheel.nextDeadline, model, now, seed)
            }
        }
    }

    private func expectFired(
        _ wheel: inout TimingWheelProbe, _ model: inout Model, _ now: Int64, _ seed: UInt64
    ) {
        var fired: Set<UInt32> = []
        while let timer = wheel.pop(at: Instant(nanoseconds: now)) {
            #expect(fired.insert(timer).inserted, "a timer fired twice, seed \(seed)")
        }
        #expect(fired == model.pop(at: now), "seed \(seed)")
    }

    /// The deadline may come before the first timer is due, to spread a slot, but never after it, and never in the past.
    private func expectDeadline(_ deadline: Instant?, _ model: Model, _ now: Int64, _ seed: UInt64) {
        #expect((deadline == nil) == model.due.isEmpty, "seed \(seed)")
        guard let deadline, let first = model.due.values.min() else { return }
        #expect(deadline.nanoseconds <= first * TimingWheelProbe.tick, "seed \(seed)")
        #expect(deadline.nanoseconds / TimingWheelProbe.tick > model.current, "seed \(seed)")
    }
}

/// A small generator, so that a failing case can be run again.
struct WheelRandom: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &+ 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed &>> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed &>> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed &>> 31
    }
}
