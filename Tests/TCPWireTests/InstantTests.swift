import TCPWire
import Testing

@Suite("Instants and durations")
struct InstantTests {
    @Test("Time that would pass the end of 292 years stays there")
    func saturatesForward() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: 5) + .seconds(Int64.max) == .distantFuture)
        #expect(Instant.zero.advanced(byNanoseconds: .max) == .distantFuture)
        #expect(Instant(nanoseconds: 1).advanced(byNanoseconds: .max) == .distantFuture)
    }

    @Test("Time that would pass the beginning stays there")
    func saturatesBackward() {
        let beginning = Instant(nanoseconds: .min)
        #expect(beginning.advanced(byNanoseconds: -1) == beginning)
        #expect(beginning + .seconds(-1) == beginning)
        #expect(Instant(nanoseconds: -5) + .seconds(Int64.min) == beginning)
    }

    @Test("The time between two instants too far apart to tell is the longest there is")
    func differenceSaturates() {
        #expect((Instant.distantFuture - Instant(nanoseconds: -1)).nanoseconds == .max)
        #expect((Instant(nanoseconds: -2) - .distantFuture).nanoseconds == .min)
        #expect(Instant(nanoseconds: 70) - Instant(nanoseconds: 100) == .nanoseconds(-30))
    }

    @Test("Durations count whole nanoseconds")
    func wholeNanoseconds() {
        #expect(Duration.seconds(1).nanoseconds == 1_000_000_000)
        #expect(Duration.milliseconds(-1500).nanoseconds == -1_500_000_000)
        #expect(Duration.zero.nanoseconds == 0)
        #expect(Duration(secondsComponent: 0, attosecondsComponent: 999_999_999).nanoseconds == 0)
        #expect(Duration(secondsComponent: 0, attosecondsComponent: 1_000_000_001).nanoseconds == 1)
    }

    @Test("Durations saturate at 292 years")
    func durationsSaturate() {
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.seconds(Int64.min).nanoseconds == .min)
        #expect(Duration.nanoseconds(Int64.max).nanoseconds == .max)
        #expect((Duration.nanoseconds(Int64.max) + .nanoseconds(1)).nanoseconds == .max)
        #expect((Duration.nanoseconds(Int64.min) - .nanoseconds(1)).nanoseconds == .min)
        #expect(Duration.nanoseconds(Int64.min).nanoseconds == .min)
    }

    @Test("Adding and subtracting agree with plain integers where they fit")
    func agreesWithIntegers() {
        var numbers = Numbers(seed: 8)
        for _ in 0..<trials / 4 {
            let start = Int64(bitPattern: numbers.next()) >> 2
            let step = Int64(bitPattern: numbers.next()) >> 2
            let instant = Instant(nanoseconds: start) + .nanoseconds(step)
            #expect(instant.nanoseconds == start + step)
            #expect((instant - Instant(nanoseconds: start)).nanoseconds == step)
            #expect((Instant(nanoseconds: start) < instant) == (step > 0))
        }
    }
}
