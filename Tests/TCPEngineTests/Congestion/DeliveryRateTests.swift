import TCPEngine
import TCPWire
import Testing

private func milliseconds(_ count: Int64) -> Instant { Instant(nanoseconds: count * 1_000_000) }

/// A connection's estimator, and the records of what it has in flight.
private struct Flight {
    struct Record {
        let stamp: SendStamp
        let word: UInt32
        let sentAt: Instant
        let octets: Int
        var isRetransmitted = false
    }

    var rate = DeliveryRate(now: .zero)
    var inFlight = 0

    mutating func send(_ octets: Int, at now: Instant, isRetransmitted: Bool = false) -> Record {
        let (stamp, word) = rate.stamp(now: now, inFlightBefore: inFlight, length: octets)
        inFlight += octets
        return Record(stamp: stamp, word: word, sentAt: now, octets: octets, isRetransmitted: isRetransmitted)
    }

    mutating func lose(_ record: Record) {
        rate.lose(record.octets)
        inFlight -= record.octets
    }

    mutating func acknowledge(
        _ records: [Record], at now: Instant, losing lost: [Record] = [], minimumRoundTrip: Int64 = 0
    ) -> RateSample {
        var sample = rate.begin()
        for record in records {
            rate.take(
                record.stamp, record.word, sentAt: record.sentAt, octets: record.octets,
                isRetransmitted: record.isRetransmitted, into: &sample, now: now)
            inFlight -= record.octets
        }
        for record in lost { lose(record) }
        rate.finish(&sample, minimumRoundTrip: minimumRoundTrip)
        return sample
    }
}

@Suite("Delivery rate samples (draft-ietf-ccwg-bbr §4.1)")
struct DeliveryRateTests {
    @Test("A stamp is 16 bytes, and its word keeps seven bits for others")
    func layout() {
        #expect(MemoryLayout<SendStamp>.size == 16)
        #expect(SendStamp.free.nonzeroBitCount == 7)
        for inFlight in [0, 1, 64, 65, 1 << 20, 1 << 30, Int.max] {
            for isAppLimited in [false, true] {
                let word = SendStamp.pack(inFlight: inFlight, isAppLimited: isAppLimited)
                #expect(word & SendStamp.free == 0)
                let marked = word | SendStamp.free
                #expect(SendStamp.isAppLimited(marked) == isAppLimited)
                let read = Int(SendStamp.inFlight(marked))
                let most = (1 << 30) - 64
                #expect(read == (inFlight > most ? most : (inFlight + 63) / 64 * 64))
            }
        }
    }

    @Test("Transmitting a data packet: with nothing in flight the interval starts at the sending, not at the last ACK")
    func restarts() {
        var flight = Flight()
        let first = flight.send(1000, at: milliseconds(5000))
        #expect(first.stamp.deliveredAge == 0)
        #expect(first.stamp.sendAge == 0)
        let sample = flight.acknowledge([first], at: milliseconds(5010))
        #expect(sample.interval == 10_000_000)
        #expect(sample.deliveryRate == 100_000)
        #expect(sample.roundTrip == 10_000_000)
        #expect(sample.txInFlight == 1024)
    }

    @Test("Transmitting a data packet: with data in flight the interval starts at the last ACK")
    func startsAtTheKnee() {
        var flight = Flight()
        let first = flight.send(1000, at: milliseconds(0))
        let second = flight.send(1000, at: milliseconds(1))
        #expect(second.stamp.deliveredAge == 1000)
        _ = flight.acknowledge([first], at: milliseconds(10))
        let third = flight.send(1000, at: milliseconds(13))
        #expect(third.stamp.delivered == 1000)
        #expect(third.stamp.deliveredAge == 3000)
        #expect(third.stamp.sendAge == 13000)
        _ = flight.acknowledge([second], at: milliseconds(14))
        let sample = flight.acknowledge([third], at: milliseconds(23))
        // From the knee at 10 ms to the ACK at 23 ms two packets were delivered; they were sent over 1 … 13 ms.
        #expect(sample.delivered == 2000)
        #expect(sample.interval == 13_000_000)
        #expect(sample.deliveryRate == 2000 * 1000 / 13)
    }

    @Test("Delivery Rate: when acknowledgments bunch up, the rate is that of the sending [BBR-3]")
    func aggregation() {
        var flight = Flight()
        let first = flight.send(1000, at: milliseconds(0))
        // Ten packets over 50 ms, their acknowledgments all within one millisecond at 100 ms.
        let rest = (1...10).map { flight.send(1000, at: milliseconds(Int64($0) * 5)) }
        _ = flight.acknowledge([first], at: milliseconds(99))
        let sample = flight.acknowledge(rest, at: milliseconds(100))
        // The knee before the newest was at 0 ms, 100 ms ago; from the sending of the first to its own, 50 ms.
        #expect(sample.interval == 100_000_000)
        var samples: [RateSample] = []
        // The next flight is sent from 101 ms on, a packet every five, and acknowledged within a millisecond.
        let opening = flight.send(1000, at: milliseconds(101))
        let next = (1...10).map { flight.send(1000, at: milliseconds(101 + Int64($0) * 5)) }
        samples.append(flight.acknowledge([opening], at: milliseconds(152)))
        let late = flight.send(1000, at: milliseconds(153))
        samples.append(flight.acknowledge(next, at: milliseconds(154)))
        samples.append(flight.acknowledge([late], at: milliseconds(155)))
        // Acknowledged: eleven packets from the knee at 152 ms to 155 ms. Sent: from 101 ms to 153 ms.
        #expect(samples[2].delivered == 11000)
        #expect(samples[2].interval == 52_000_000)
        #expect(samples[2].deliveryRate == 11000 * 1000 / 52)
    }

    @Test("Delivery Rate: when the sending bunches up, the rate is that of the acknowledgments [BBR-3]")
    func burst() {
        var flight = Flight()
        let burst = (0..<10).map { _ in flight.send(1000, at: milliseconds(0)) }
        var last = RateSample()
        for (index, record) in burst.enumerated() {
            last = flight.acknowledge([record], at: milliseconds(20 + Int64(index)))
        }
        #expect(last.interval == 29_000_000)
        #expect(last.delivered == 10000)
        // All was sent before the first ACK: the interval is from the sending to the last ACK.
        #expect(last.deliveryRate == 10000 * 1000 / 29)
    }

    @Test(
        "Upon receiving an ACK: of several packets the most recently sent one makes the sample",
        arguments: [false, true])
    func newest(reversed: Bool) {
        var flight = Flight()
        let first = flight.send(1000, at: milliseconds(0))
        let records = (1...4).map { flight.send(1000, at: milliseconds(Int64($0))) }
        _ = flight.acknowledge([first], at: milliseconds(20))
        let later = flight.send(3000, at: milliseconds(21))
        let all = records + [later]
        let sample = flight.acknowledge(reversed ? all.reversed() : all, at: milliseconds(40))
        #expect(sample.priorDelivered == 1000)
        #expect(sample.txInFlight == 7040)
        #expect(sample.delivered == 7000)
        #expect(sample.newlyAcked == 7000)
        #expect(sample.roundTrip == 19_000_000)
    }

    @Test("Impact of packet reordering: it does not matter in which order packets are acknowledged [BBR-1]")
    func reordering() {
        var flight = Flight()
        let records = (0..<6).map { flight.send(1000, at: milliseconds(Int64($0))) }
        _ = flight.acknowledge([records[0], records[4], records[5]], at: milliseconds(20))
        let probe = flight.send(1000, at: milliseconds(21))
        _ = flight.acknowledge([records[2]], at: milliseconds(22))
        _ = flight.acknowledge([records[1], records[3]], at: milliseconds(23))
        let sample = flight.acknowledge([probe], at: milliseconds(41))
        #expect(sample.priorDelivered == 3000)
        #expect(sample.delivered == 4000)
        #expect(sample.interval == 21_000_000)
        #expect(flight.rate.delivered == 7000)
    }

    @Test(
        "Impact of packet loss and retransmissions: an interval below the least round trip gives no rate [BBR-5, BBR-6]"
    )
    func spurious() {
        var flight = Flight()
        let original = flight.send(1000, at: milliseconds(0))
        let other = flight.send(1000, at: milliseconds(0))
        _ = flight.acknowledge([other], at: milliseconds(50), minimumRoundTrip: 50_000_000)
        flight.lose(original)
        let again = flight.send(1000, at: milliseconds(51), isRetransmitted: true)
        // The original arrives after all, two milliseconds after it was sent again.
        let sample = flight.acknowledge([again], at: milliseconds(53), minimumRoundTrip: 50_000_000)
        #expect(sample.hasData)
        #expect(sample.interval < 50_000_000)
        #expect(sample.deliveryRate == 0)
        #expect(sample.roundTrip == 0, "what was sent twice measures no round trip")
        #expect(sample.lost == 0)
    }

    @Test("Impact of packet loss and retransmissions: what comes after a loss counts what was delivered and lost since")
    func loss() {
        var flight = Flight()
        let records = (0..<10).map { flight.send(1000, at: milliseconds(Int64($0))) }
        _ = flight.acknowledge([records[0]], at: milliseconds(30))
        let newest = flight.send(1000, at: milliseconds(31))
        let middle = flight.acknowledge(Array(records[3...]), at: milliseconds(32), losing: Array(records[1...2]))
        #expect(middle.newlyLost == 2000)
        #expect(middle.lost == 2000, "what this acknowledgment showed to be lost counts")
        let again = records[1...2].map { _ in flight.send(1000, at: milliseconds(33), isRetransmitted: true) }
        let sample = flight.acknowledge([newest], at: milliseconds(61))
        #expect(sample.lost == 2000)
        #expect(sample.newlyLost == 0)
        #expect(flight.rate.lost == 2000)
        let last = flight.acknowledge(again, at: milliseconds(63))
        #expect(last.lost == 0)
        #expect(flight.inFlight == 0)
        #expect(flight.rate.delivered == 11000)
    }

    @Test("Detecting application-limited phases: the bubble marks what is sent until it has left the path [BBR-4]")
    func bubble() {
        var flight = Flight()
        let first = flight.send(1000, at: milliseconds(0))
        #expect(!SendStamp.isAppLimited(first.word))
        flight.rate.markApplicationLimited(inFlight: flight.inFlight)
        let second = flight.send(1000, at: milliseconds(5))
        #expect(SendStamp.isAppLimited(second.word))
        // The bubble lies after the first packet: the mark stays while C.delivered has not passed it.
        let sample = flight.acknowledge([first], at: milliseconds(10))
        #expect(!sample.isAppLimited)
        #expect(flight.rate.isAppLimited)
        let third = flight.send(1000, at: milliseconds(11))
        #expect(SendStamp.isAppLimited(third.word))
        let marked = flight.acknowledge([second], at: milliseconds(15))
        #expect(marked.isAppLimited)
        #expect(!flight.rate.isAppLimited)
        let fourth = flight.send(1000, at: milliseconds(16))
        #expect(!SendStamp.isAppLimited(fourth.word))
        #expect(flight.acknowledge([third], at: milliseconds(21)).isAppLimited)
        #expect(!flight.acknowledge([fourth], at: milliseconds(26)).isAppLimited)
    }

    @Test("A silence before anything was delivered is a mark as well")
    func firstBubble() {
        var rate = DeliveryRate(now: .zero)
        rate.markApplicationLimited(inFlight: 0)
        #expect(rate.isAppLimited)
        #expect(rate.appLimited == 1)
    }

    @Test("An age longer than a stamp can say gives no rate, and no other harm")
    func saturation() {
        var flight = Flight()
        let first = flight.send(1000, at: .zero)
        // The first packet stays in flight for 80 minutes; 2³² microseconds are not quite 72.
        let late = flight.send(1000, at: milliseconds(80 * 60_000))
        #expect(late.stamp.deliveredAge == .max)
        #expect(late.stamp.sendAge == .max)
        let sample = flight.acknowledge([late], at: milliseconds(80 * 60_000 + 10))
        #expect(sample.deliveryRate == 0)
        #expect(sample.delivered == 1000)
        #expect(sample.roundTrip == 10_000_000)
        let next = flight.send(1000, at: milliseconds(80 * 60_000 + 11))
        #expect(flight.acknowledge([next], at: milliseconds(80 * 60_000 + 21)).deliveryRate > 0)
        _ = first
    }

    @Test("Ages are rounded up: a rate is never taken for more than it was")
    func roundsUp() {
        var flight = Flight()
        _ = flight.send(1000, at: .zero)
        let second = flight.send(1000, at: Instant(nanoseconds: 1))
        #expect(second.stamp.sendAge == 1)
        #expect(second.stamp.deliveredAge == 1)
    }

    @Test("The counters' low halves wrap without harm [BBR-1]")
    func wraps() {
        var flight = Flight()
        // Almost 2³² octets delivered and lost.
        for _ in 0..<4 { flight.rate.countDuplicate(1 << 30) }
        flight.rate.lose(Int(UInt32.max) - 999)
        flight.rate.lose(0)
        var now = milliseconds(1)
        let first = flight.send(1000, at: now)
        #expect(first.stamp.delivered == 0)
        let second = flight.send(1000, at: now)
        now = milliseconds(11)
        flight.lose(second)
        flight.lose(flight.send(500, at: now))
        let sample = flight.acknowledge([first], at: now)
        #expect(sample.lost == 1500)
        #expect(sample.delivered == 1000)
        #expect(sample.priorDelivered == 1 << 32)
        #expect(sample.deliveryRate == 100_000)
        #expect(flight.rate.lost == (1 << 32) + 1500 - 1000)
    }

    @Test("An acknowledgment that delivers nothing gives no sample")
    func nothing() {
        var flight = Flight()
        let record = flight.send(1000, at: .zero)
        let sample = flight.acknowledge([], at: milliseconds(10), losing: [record])
        #expect(!sample.hasData)
        #expect(sample.deliveryRate == 0)
        #expect(sample.newlyAcked == 0)
        #expect(sample.newlyLost == 1000)
    }

    @Test("A delivery at the instant of the sending gives no rate")
    func instantaneous() {
        var flight = Flight()
        let record = flight.send(1000, at: .zero)
        #expect(flight.acknowledge([record], at: .zero).deliveryRate == 0)
    }

    @Test("Nothing that a caller may be told overflows")
    func extremes() {
        var rate = DeliveryRate(now: Instant(nanoseconds: .min))
        let (stamp, word) = rate.stamp(now: .distantFuture, inFlightBefore: .max, length: .max)
        var sample = rate.begin()
        rate.take(
            stamp, word, sentAt: Instant(nanoseconds: .min), octets: .max, isRetransmitted: false, into: &sample,
            now: .distantFuture)
        rate.finish(&sample, minimumRoundTrip: .max)
        #expect(sample.deliveryRate == 0)
        rate.markApplicationLimited(inFlight: .max)
        rate.lose(.min)
        rate.countDuplicate(.min)
        #expect(rate.lost == 0)
        #expect(rate.isAppLimited)
    }
}
