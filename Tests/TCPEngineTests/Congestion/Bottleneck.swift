import TCPEngine
import TCPWire

/// One sender with BBR, one link with a queue before it, one receiver, in virtual time: packets, not a connection. What
/// was lost is sent again as new data, so that only octets count.
struct Bottleneck {
    struct Link {
        /// Octets a second.
        var rate: Int
        /// The round trip of an empty path, in nanoseconds.
        var roundTrip: Int64
        /// The octets that wait at the most.
        var queue: Int
        /// Packets lost of a million.
        var loss: UInt32 = 0
        /// Acknowledgments come in bursts this far apart, in nanoseconds; zero is each at once.
        var burst: Int64 = 0
    }

    private struct Packet {
        let stamp: SendStamp
        let word: UInt32
        let sentAt: Instant
        let octets: Int
        let sequence: SequenceNumber
        /// When its acknowledgment comes; nil when it is lost.
        let acknowledgedAt: Instant?
    }

    var link: Link
    var bbr: BBR
    var rate: DeliveryRate
    private(set) var now = Instant.zero
    private(set) var inFlight = 0
    private(set) var dropped = 0
    private(set) var sent = 0
    /// What the application has yet to send, and how much it writes how often; nil is without end.
    var backlog: Int?
    var write: (octets: Int, every: Int64) = (0, 0)
    /// Whether segments leave a quantum at a time, as with offload, or each by itself.
    var sendsQuanta = false
    /// The states entered, and when.
    private(set) var changes: [(state: BBR.State, at: Instant)] = [(.startup, .zero)]

    private let segment: Int
    private var packets: [Packet] = []
    private var head = 0
    private var sequence = SequenceNumber(0)
    private var linkFreeAt: Int64 = 0
    private var nextSend = Instant.zero
    private var unpaced = 0
    private var nextWrite = Instant.zero
    private var wasLimited = false
    /// While losses are repaired: what was sent before is what they were of, and where the last repair begins.
    private var recoveryEnd: SequenceNumber?
    private var repairEnd = SequenceNumber(0)
    private var smoothed: Int64 = 0
    private var least = Int64.max
    private var random: UInt64

    init(_ link: Link, segment: Int = 1448, seed: UInt32 = 1) {
        self.link = link
        self.segment = segment
        bbr = BBR(
            segmentSize: segment, now: .zero, initialWindow: UInt32(10 * segment), smoothedRoundTrip: link.roundTrip,
            random: seed)
        rate = DeliveryRate(now: .zero)
        random = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    /// The link's rate times the empty path's round trip.
    var product: Int { Int(Int64(link.rate) * link.roundTrip / 1_000_000_000) }
    var delivered: Int { Int(rate.delivered) }
    /// What waits before the link.
    var queued: Int { Int(max(linkFreeAt - now.nanoseconds, 0)) * link.rate / 1_000_000_000 }

    /// Lets `seconds` pass, and gives the octets a second delivered in them.
    @discardableResult
    mutating func run(seconds: Double) -> Int {
        let start = (now, delivered)
        let end = now.advanced(byNanoseconds: Int64(seconds * 1e9))
        while step(before: end) {}
        now = end
        return Int(Double(delivered - start.1) / seconds)
    }

    /// Runs until a state is entered, for ten seconds at most; whether it was.
    mutating func run(until state: BBR.State) -> Bool {
        let end = now.advanced(byNanoseconds: 10_000_000_000)
        if bbr.state == state { return true }
        while step(before: end) { if bbr.state == state { return true } }
        return false
    }

    /// One event; false when none comes before `end`.
    mutating func step(before end: Instant) -> Bool {
        let acknowledgment = nextAcknowledgment
        var send = Instant.distantFuture
        if backlog != 0 {
            if inFlight + segment <= Int(bbr.window) { send = max(now, nextSend) } else { wasLimited = true }
        }
        let write = backlog == nil || self.write.every == 0 ? Instant.distantFuture : nextWrite
        // Nothing that was sent arrived: the timeout.
        let timeout =
            acknowledgment == nil && inFlight > 0
            ? max(packets[packets.count - 1].sentAt.advanced(byNanoseconds: 1_000_000_000), now) : .distantFuture
        let next = min(min(acknowledgment ?? .distantFuture, send), min(write, timeout))
        if next >= end { return false }
        now = next
        if acknowledgment == next {
            acknowledge()
        } else if send == next {
            transmit()
        } else if write == next {
            noteLimit()
            backlog = (backlog ?? 0) + self.write.octets
            nextWrite = now.advanced(byNanoseconds: self.write.every)
        } else {
            expire()
        }
        if changes[changes.count - 1].state != bbr.state { changes.append((bbr.state, now)) }
        return true
    }

    private var nextAcknowledgment: Instant? {
        var index = head
        while index < packets.count {
            if let time = packets[index].acknowledgedAt { return time }
            index += 1
        }
        return nil
    }

    /// CheckIfApplicationLimited (§4.1.2.4).
    private mutating func noteLimit() {
        if backlog == 0 && inFlight < Int(bbr.window) { rate.markApplicationLimited(inFlight: inFlight) }
    }

    private mutating func transmit() {
        let octets = min(segment, backlog ?? segment)
        if inFlight == 0 && rate.isAppLimited { bbr.restartFromIdle(now: now, rate) }
        let (stamp, word) = rate.stamp(now: now, inFlightBefore: inFlight, length: octets)
        var acknowledgedAt: Instant?
        if !isUnlucky && queued + octets <= link.queue {
            linkFreeAt = max(linkFreeAt, now.nanoseconds) + Int64(octets) * 1_000_000_000 / Int64(link.rate)
            var time = linkFreeAt + link.roundTrip
            if link.burst > 0 { time = (time + link.burst - 1) / link.burst * link.burst }
            acknowledgedAt = Instant(nanoseconds: time)
        } else {
            dropped += octets
        }
        packets.append(
            Packet(
                stamp: stamp, word: word, sentAt: now, octets: octets, sequence: sequence,
                acknowledgedAt: acknowledgedAt))
        sequence += octets
        inFlight += octets
        sent += octets
        if let backlog { self.backlog = backlog - octets }
        unpaced += octets
        if sendsQuanta && unpaced < Int(bbr.sendQuantum) { return }
        let start = max(now, nextSend)
        nextSend = start.advanced(byNanoseconds: Int64(unpaced) * 1_000_000_000 / Int64(bbr.pacingRate))
        unpaced = 0
    }

    private var isUnlucky: Bool {
        mutating get {
            if link.loss == 0 { return false }
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return (random >> 16) % 1_000_000 < UInt64(link.loss)
        }
    }

    /// All acknowledgments of this instant are one; whatever was sent before what it acknowledges is lost.
    private mutating func acknowledge() {
        noteLimit()
        let before = inFlight
        var sample = rate.begin()
        var lost: [Packet] = []
        var pending: [Packet] = []
        while head < packets.count {
            let packet = packets[head]
            guard let time = packet.acknowledgedAt else {
                pending.append(packet)
                head += 1
                continue
            }
            if time > now { break }
            lost += pending
            pending = []
            head += 1
            rate.take(
                packet.stamp, packet.word, sentAt: packet.sentAt, octets: packet.octets, isRetransmitted: false,
                into: &sample, now: now)
            inFlight -= packet.octets
            if recoveryEnd != nil, packet.sequence >= repairEnd {
                recoveryEnd = nil
                bbr.endRecovery()
            }
        }
        head -= pending.count
        for packet in lost { lose(packet) }
        if !lost.isEmpty && recoveryEnd == nil {
            bbr.enterRecovery()
            recoveryEnd = sequence
            repairEnd = sequence
        }
        finish(&sample, before: before)
        if head > 4096 {
            packets.removeFirst(head)
            head = 0
        }
    }

    private mutating func lose(_ packet: Packet) {
        rate.lose(packet.octets)
        inFlight -= packet.octets
        if let end = recoveryEnd, packet.sequence < end { repairEnd = sequence }
        bbr.lose(packet.stamp, packet.word, octets: packet.octets, from: packet.sequence, rate, now: now)
        if let backlog { self.backlog = backlog + packet.octets }
    }

    private mutating func finish(_ sample: inout RateSample, before: Int) {
        if sample.roundTrip > 0 {
            smoothed = smoothed == 0 ? sample.roundTrip : smoothed + (sample.roundTrip - smoothed) / 8
            least = min(least, sample.roundTrip)
        }
        rate.finish(&sample, minimumRoundTrip: least == .max ? 0 : least)
        var signal = CongestionSignal(now: now, segmentSize: segment)
        signal.inFlightBefore = before
        signal.inFlight = inFlight
        signal.smoothedRoundTrip = smoothed
        signal.isInRecovery = recoveryEnd != nil
        signal.isWindowLimited = wasLimited
        wasLimited = false
        bbr.acknowledge(signal, sample, &rate)
    }

    private mutating func expire() {
        while head < packets.count {
            lose(packets[head])
            head += 1
        }
        bbr.timeout(inFlight: inFlight)
        recoveryEnd = sequence
        repairEnd = sequence
    }
}

extension Bottleneck {
    /// What an acknowledgment of now says that delivers nothing.
    func signal(inFlight: Int = 0) -> CongestionSignal {
        var signal = CongestionSignal(now: now, segmentSize: 1448)
        signal.inFlight = inFlight
        signal.inFlightBefore = inFlight
        return signal
    }

    /// Segments sent now, and found lost at once, each apart from the others.
    mutating func loseNow(segments: Int = 1) {
        let (stamp, word) = rate.stamp(now: now, inFlightBefore: inFlight, length: 1448)
        for index in 0..<segments {
            rate.lose(1448)
            bbr.lose(stamp, word, octets: 1448, from: SequenceNumber(UInt32(index * 10000)), rate, now: now)
        }
    }
}
