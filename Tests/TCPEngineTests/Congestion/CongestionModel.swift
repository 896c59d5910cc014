import TCPEngine
import TCPWire

/// The average window in segments of a sender of whom one segment in `1 / rate` is lost: what was sent, divided by the
/// round trips it took. The first half of the losses is left out.
func averageWindow<C: Control>(_: C.Type, rate: Double, roundTrip: Int64) -> Double {
    let size = 1000
    let period = Int((1 / rate).rounded())
    var control = C.afterLoss(at: 20_000, size: size)
    var now = 0.0
    var start = 0.0
    let losses = 16
    for loss in 0..<losses {
        if loss == losses / 2 { start = now }
        for _ in 0..<period {
            now += Double(roundTrip) * Double(size) / Double(control.window)
            control.receive(size, at: Int64(now), size: size, roundTrip: roundTrip)
        }
        control.lose(size: size)
    }
    return Double(period * (losses - losses / 2)) / ((now - start) / Double(roundTrip))
}

/// RFC 9438 §4 as it stands there: segments, seconds, floating point.
struct CubicModel {
    var cwnd: Double
    var prior: Double
    var maximum: Double
    var estimate = 0.0
    var period = 0.0

    /// A stage of congestion avoidance that begins with `cwnd`, after a loss at `prior`.
    init(cwnd: Double, prior: Double, maximum: Double) {
        self.cwnd = cwnd
        self.prior = prior
        self.maximum = maximum
        estimate = cwnd
        period = CubicModel.cubeRoot((maximum - cwnd) / 0.4)
    }

    /// Halves the interval until nothing is left of it.
    static func cubeRoot(_ number: Double) -> Double {
        var low = 0.0
        var high = max(1, number)
        for _ in 0..<200 {
            let middle = (low + high) / 2
            if middle * middle * middle < number { low = middle } else { high = middle }
        }
        return low
    }

    func curve(_ time: Double) -> Double {
        let distance = time - period
        return 0.4 * distance * distance * distance + maximum
    }

    mutating func acknowledge(_ segments: Double, time: Double, roundTrip: Double) {
        let alpha = estimate >= prior ? 1 : 3 * (1 - 0.7) / (1 + 0.7)
        estimate += alpha * segments / cwnd
        if curve(time) < estimate {
            cwnd = max(cwnd, estimate)
        } else {
            let target = min(max(curve(time + roundTrip), cwnd), 1.5 * cwnd)
            cwnd += (target - cwnd) / cwnd * segments
        }
    }
}
