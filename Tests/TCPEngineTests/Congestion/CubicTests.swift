import TCPEngine
import TCPWire
import Testing

/// RFC 9438. Windows are octets; a segment has a thousand of them where nothing else is said.
@Suite("CUBIC")
struct CubicTests {
    // MARK: The cubic function

    @Test("W_cubic is 0.4 (t − K)³ + W_max, K the cube root of (W_max − cwnd) / 0.4 [RFC 9438 §4.2, 9438-1]")
    func curve() {
        var dice = Dice(seed: 1)
        for _ in 0..<400 {
            let size = [64, 536, 1000, 1460, 8960].randomElement(using: &dice) ?? 1000
            let largest: UInt32 = 1 << UInt32.random(in: 20...30, using: &dice)
            let window = UInt32.random(in: UInt32(3 * size)...largest, using: &dice)
            var control = Cubic.afterLoss(at: window, size: size)
            control.receive(size, size: size)
            let maximum = Double(window) / Double(size)
            let model = CubicModel(
                cwnd: Double(control.threshold) / Double(size), prior: maximum, maximum: maximum)
            for _ in 0..<20 {
                // Most of them around K, the rest up to hours.
                let longest = Bool.random(using: &dice) ? 2.5 * model.period : 36_000
                let time = Double.random(in: 0...longest, using: &dice)
                let expected = min(max(model.curve(time) * Double(size), 0), 1_073_741_824)
                let found = Double(control.curve(at: Int64(time * 1e9), UInt32(size)))
                #expect(
                    abs(found - expected) <= max(Double(size), 0.005 * expected),
                    "W_max \(window) at \(time) s with segments of \(size)")
            }
        }
    }

    @Test("The window follows the function, acknowledgment by acknowledgment [RFC 9438 §4.2–§4.5, 9438-12]")
    func followsModel() {
        var dice = Dice(seed: 2)
        for _ in 0..<24 {
            let size = [536, 1460, 8960].randomElement(using: &dice) ?? 1460
            let segments = Int.random(in: 10...2000, using: &dice)
            let roundTrip = Int64.random(in: 2...300, using: &dice) * millisecond
            var control = Cubic.afterLoss(at: UInt32(segments * size), size: size)
            var model = CubicModel(
                cwnd: Double(control.window) / Double(size), prior: Double(segments), maximum: Double(segments))
            var now: Int64 = 0
            while Double(now) / 1e9 < 1.6 * model.period, now < 1200 * roundTrip {
                let octets = max(size, Int(control.window) / 8)
                control.receive(octets, at: now, size: size, roundTrip: roundTrip)
                model.acknowledge(
                    Double(octets) / Double(size), time: Double(now) / 1e9, roundTrip: Double(roundTrip) / 1e9)
                now += roundTrip * Int64(octets) / Int64(control.window)
            }
            let found = Double(control.window) / Double(size)
            #expect(abs(found - model.cwnd) <= max(1, 0.005 * model.cwnd), "\(found) for \(model.cwnd)")
            let estimate = Double(control.estimate) / Double(size)
            #expect(abs(estimate - model.estimate) <= max(1, 0.005 * model.estimate))
        }
    }

    @Test("The window rises fast, slower towards W_max at K, and faster again beyond [RFC 9438 §4.4, §4.5, 9438-12]")
    func shape() {
        var control = Cubic.afterLoss(at: 1_000_000)
        var now: Int64 = 0
        var windows: [Double] = []
        // K is 9.08 s.
        for _ in 0..<20 {
            windows.append(Double(control.window))
            for _ in 0..<10 { now = control.receiveWindow(from: now) }
        }
        let steps = zip(windows.dropFirst(), windows).map { $0 - $1 }
        for index in 0..<8 { #expect(steps[index] > steps[index + 1], "concave at \(index) s") }
        for index in 10..<18 { #expect(steps[index] < steps[index + 1], "convex at \(index) s") }
        #expect(abs(windows[9] / 1_000_000 - 1) < 0.01)
    }

    @Test("One acknowledgment takes its share of the way to the target [RFC 9438 §4.4, 9438-12]")
    func increment() {
        // W_cubic(0 + 1 s) is 1,000,000 − 400 · 8.0856³ octets.
        var control = Cubic.afterLoss(at: 1_000_000)
        control.receive(1000, roundTrip: second)
        let target = 1_000_000 - 0.4 * 8.0856 * 8.0856 * 8.0856 * 1000
        let expected = (target - 700_000) / 700_000 * 1000
        #expect(abs(Double(control.window) - 700_000 - expected) <= 2)
    }

    @Test("Acknowledgments of few octets grow the window as those of segments do [RFC 9438 §4.1, 9438-12]")
    func noRounding() {
        func grown(by octets: Int) -> Double {
            var control = Cubic.afterLoss(at: 30_000)
            let start = control.window
            for arrived in stride(from: octets, through: 400_000, by: octets) {
                control.receive(octets, at: Int64(arrived) * 4 * 1000, roundTrip: 100 * millisecond)
            }
            return Double(control.window - start)
        }
        let whole = grown(by: 1000)
        #expect(whole > 1000)
        #expect(abs(grown(by: 50) / whole - 1) < 0.01)
    }

    @Test("Within a round trip the window grows by half at most, and never shrinks [RFC 9438 §4.2, 9438-2]")
    func target() {
        var control = Cubic.afterLoss(at: 20_000)
        var now = control.receiveWindow()
        // A round trip of an hour carries the function beyond any bound.
        let before = control.window
        now += 3600 * second
        control.receive(Int(before) / 2, at: now, roundTrip: 3600 * second)
        #expect(abs(Double(control.window) - 1.25 * Double(before)) <= 1)
        control.receive(1_000_000_000, at: now, roundTrip: 3600 * second)
        #expect(abs(Double(control.window) - 1.875 * Double(before)) <= 2)
        // Below the function's start no acknowledgment takes anything away.
        control = .afterLoss(at: 1_000_000)
        control.receive(1000)
        control.window = 900_000
        control.receive(1000, at: millisecond)
        #expect(control.window == 900_000)
    }

    // MARK: The Reno-friendly region

    @Test("Where Reno would be faster its window is taken: α is 9/17 a round trip [RFC 9438 §4.3, 9438-1, 9438-4]")
    func renoFriendly() {
        var control = Cubic.afterLoss(at: 40_000)
        var now: Int64 = 0
        for round in 1...20 {
            now = control.receiveWindow(from: now, roundTrip: 10 * millisecond)
            let expected = 28_000 + 1000.0 * 9 / 17 * Double(round)
            #expect(abs(Double(control.window) - expected) < 400, "round \(round)")
            #expect(control.window == control.estimate)
        }
    }

    @Test("A window above Reno's stays as it is in that region [RFC 9438 §4.3, 9438-2]")
    func aboveReno() {
        var control = Cubic.afterLoss(at: 40_000)
        let now = control.receiveWindow(roundTrip: 10 * millisecond)
        control.window = 30_000
        control.receive(1000, at: now, roundTrip: 10 * millisecond)
        #expect(control.curve(at: control.elapsed, 1000) < control.estimate)
        #expect(control.estimate < 30_000)
        #expect(control.window == 30_000)
    }

    @Test("From cwnd_prior on α is one [RFC 9438 §4.3, 9438-11]")
    func renoAlpha() {
        var control = Cubic.afterLoss(at: 40_000)
        var now: Int64 = 0
        for _ in 0..<100 where control.estimate < 40_000 {
            now = control.receiveWindow(from: now, roundTrip: 10 * millisecond)
        }
        let before = Double(control.window)
        for _ in 0..<10 { now = control.receiveWindow(from: now, roundTrip: 10 * millisecond) }
        #expect(abs(Double(control.window) - before - 10_000) < 500)
    }

    @Test("W_est begins with the window of the stage [RFC 9438 §4.3, §4.8, 9438-4]")
    func estimateStarts() {
        var control = Cubic.afterLoss(at: 40_000)
        control.receive(0)
        #expect(control.estimate == 28_000)
        _ = control.receiveWindow()
        control.lose()
        let window = control.window
        control.receive(0)
        #expect(control.estimate == window)
    }
}
