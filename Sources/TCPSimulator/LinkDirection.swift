package import TCPTrace
public import TCPWire

/// One direction of a link: what waits in front of it, and what goes wrong on it.
public final class LinkDirection {
    /// What goes wrong. May be changed while the simulation runs.
    public var faults = LinkFaults()
    /// Decides about packets before the faults do; `nil` leaves a packet to them.
    public var script: ((OfferedPacket) -> PacketFate?)?
    /// Whether the cable is cut: everything is lost, what is under way included.
    public var isCut = false {
        didSet { if isCut { epoch &+= 1 } }
    }
    /// How the link carries packets.
    public internal(set) var configuration: LinkConfiguration

    /// Packets offered so far.
    public private(set) var offered = 0
    /// Packets that did not arrive as they were sent, or not at all, for whatever reason.
    public internal(set) var lost = 0
    /// Octets carried, IP headers included.
    public private(set) var octets = 0
    /// Packets in which the queue set Congestion Experienced, those that bore it already included.
    public private(set) var marked = 0
    /// Packets lost because the queue was full, or because it would have marked them and they were not ECN-capable.
    public private(set) var dropped = 0
    /// The most octets that ever waited, the packet on its way out included.
    public private(set) var highestBacklog = 0

    /// Counts the cuts: a packet of an earlier epoch does not arrive.
    var epoch = 0
    /// Its place in the simulation's list.
    let index: Int
    /// The node at its end; `nil` outside a simulation.
    unowned let destination: SimulatedNode?
    private var random: SimulationRandom
    /// When the last packet's last bit will have left.
    private var busyUntil: Int64 = 0
    /// When the last packet arrives, reordered ones left out.
    private var lastArrival: Int64 = 0
    /// Octets times nanoseconds that waited until `integratedUntil`.
    private var backlogIntegral = 0.0
    private var integratedUntil: Int64 = 0
    /// Whether a host waits for room.
    var isAwaited = false

    /// What becomes of a packet that was offered.
    package enum Passage {
        /// Its last bit leaves at the first time and it arrives at the second, in nanoseconds, as the fate has it: spoilt,
        /// held, or with copies.
        case arrives(Int64, Int64, PacketFate)
        /// It does not arrive.
        case isLost(TracedSegment.Fate)
    }

    init(index: Int, configuration: LinkConfiguration, destination: SimulatedNode?, random: SimulationRandom) {
        self.index = index
        self.configuration = configuration
        self.destination = destination
        self.random = random
    }

    /// Octets that wait at `now`, the packet on its way out included.
    public func backlog(at now: Instant) -> Int {
        guard let rate = configuration.rate, busyUntil > now.nanoseconds else { return 0 }
        return Int(Double(busyUntil &- now.nanoseconds) * rate / 8e9 + 0.5)
    }

    /// Whether a packet of `length` octets can wait.
    func hasRoom(for length: Int, at now: Instant) -> Bool {
        guard configuration.rate != nil, let queue = configuration.queue else { return true }
        let waiting = backlog(at: now)
        // A packet larger than the whole queue passes when nothing is before it.
        return waiting == 0 || waiting + length <= queue
    }

    /// When `length` octets will have room.
    func timeOfRoom(for length: Int, at now: Instant) -> Int64 {
        guard let rate = configuration.rate, let queue = configuration.queue else { return now.nanoseconds }
        let room = Double(max(queue - length, 0)) * 8e9 / rate
        return max(now.nanoseconds &+ 1, busyUntil &- Int64(room))
    }

    /// Puts a packet on the line: when its last bit leaves, and when it arrives if nothing goes wrong.
    private func carry(_ length: Int, at now: Instant) -> (departure: Int64, arrival: Int64) {
        octets += length
        integrate(until: now)
        var departure = max(now.nanoseconds, busyUntil)
        if let rate = configuration.rate {
            departure &+= Int64(Double(length) * 8e9 / rate + 0.5)
            busyUntil = departure
            highestBacklog = max(highestBacklog, backlog(at: now))
        }
        var delay = configuration.delay.nanoseconds
        let jitter = configuration.jitter.nanoseconds
        if jitter > 0 { delay = max(0, delay &- jitter &+ random.below(2 &* jitter &+ 1)) }
        let arrival = departure &+ delay
        return (departure, keepsOrder ? inOrder(arrival) : arrival)
    }

    /// Whether packets arrive in the order they were sent, faults apart.
    var keepsOrder: Bool { configuration.jitter == .zero || configuration.jitterKeepsOrder }

    /// When a packet arrives that was to arrive at `arrival`, behind those that were asked about before.
    func inOrder(_ arrival: Int64) -> Int64 {
        lastArrival = max(lastArrival, arrival)
        return lastArrival
    }

    /// Takes a packet, marks it if it is to be marked, and says what becomes of it. A packet that chance loses has taken its
    /// turn on the line.
    package func offer(
        _ bytes: inout [UInt8], _ header: TCPHeader?, payloadLength: Int, length: Int, at now: Instant
    ) -> Passage {
        let fate = fate(of: header, payloadLength: payloadLength, length: length, at: now)
        if let drop = isCut ? .unreachable : admit(&bytes, length, at: now) {
            lost += 1
            return .isLost(drop)
        }
        let (departure, arrival) = carry(length, at: now)
        if fate.isLost || fate.isCorrupted { lost += 1 }
        if fate.isLost { return .isLost(.lost) }
        return .arrives(departure, (Instant(nanoseconds: arrival) + fate.extraDelay).nanoseconds, fate)
    }

    /// Marks a packet that is about to wait in the queue if it is to be marked, and says why it is dropped; `nil` if it is not.
    private func admit(_ bytes: inout [UInt8], _ length: Int, at now: Instant) -> TracedSegment.Fate? {
        guard hasRoom(for: length, at: now) else {
            dropped += 1
            return .queueFull
        }
        guard let marking = configuration.marking, configuration.rate != nil else { return nil }
        let probability = marking.probability(at: backlog(at: now))
        guard probability > 0, probability >= 1 || random.unit() < probability else { return nil }
        if ECNField.mark(&bytes) {
            marked += 1
            return nil
        }
        guard marking.incapable == .drops else { return nil }
        dropped += 1
        return .lost
    }

    // MARK: What waits, over time

    /// Octets times seconds that have waited until `now`: the difference between two times, divided by the time between
    /// them, is the mean backlog.
    public func backlogOverTime(until now: Instant) -> Double {
        integrate(until: now)
        return backlogIntegral / 1e9
    }

    /// Between packets the backlog falls by the rate, until it is nothing.
    private func integrate(until now: Instant) {
        guard now.nanoseconds > integratedUntil else { return }
        let elapsed = Double(now.nanoseconds &- integratedUntil)
        if let rate = configuration.rate, busyUntil > integratedUntil {
            let work = Double(busyUntil &- integratedUntil)
            let drained = min(work, elapsed)
            backlogIntegral += (work - drained / 2) * drained * rate / 8e9
        }
        integratedUntil = now.nanoseconds
    }

    /// Changes the rate; what waits leaves at the new one. Says how much later than before a packet leaves that was to leave
    /// at a given time.
    func changeRate(to rate: Double?, at now: Instant) -> (Int64) -> Int64 {
        integrate(until: now)
        let factor = rate.map { (configuration.rate ?? $0) / $0 } ?? 0
        configuration.rate = rate
        lastArrival = 0
        func change(of departure: Int64) -> Int64 {
            guard departure > now.nanoseconds else { return 0 }
            let waits = departure &- now.nanoseconds
            return Int64(Double(waits) * factor + 0.5) &- waits
        }
        busyUntil &+= change(of: busyUntil)
        return change(of:)
    }

    /// Counts a packet that is offered, and decides about it.
    private func fate(of header: TCPHeader?, payloadLength: Int, length: Int, at now: Instant) -> PacketFate {
        offered += 1
        if let script {
            let packet = OfferedPacket(
                ordinal: offered, time: now, header: header, payloadLength: payloadLength, length: length)
            if let fate = script(packet) { return fate }
        }
        var fate = PacketFate.delivered
        if faults.usesChance { fate = chance() }
        if faults.losesPackets.contains(offered) { fate.isLost = true }
        if faults.corruptsPackets.contains(offered) { fate.isCorrupted = true }
        if faults.duplicatesPackets.contains(offered) { fate.copies.append(.microseconds(100)) }
        if let delay = faults.delaysPackets[offered] { fate.extraDelay += delay }
        return fate
    }

    /// Always draws the same number of random numbers, so that changing one share leaves the other faults where they are.
    private func chance() -> PacketFate {
        var fate = PacketFate.delivered
        let (loss, duplication, reordering) = (random.unit(), random.unit(), random.unit())
        let (corruption, delay) = (random.unit(), random.unit())
        fate.isLost = loss < faults.loss
        fate.isCorrupted = corruption < faults.corruption
        if duplication < faults.duplication { fate.copies = [.microseconds(100)] }
        if reordering < faults.reordering {
            let most = faults.reorderingDelay ?? max(configuration.delay / 2, .milliseconds(1))
            fate.extraDelay = .nanoseconds(Int64(delay * Double(most.nanoseconds)))
        }
        return fate
    }

    /// Turns bits of one octet over. A change within one 16-bit word that is no change from all zeros to all ones never
    /// escapes the Internet checksum.
    func corrupt(_ bytes: inout [UInt8], length: Int) {
        guard length > 0 else { return }
        let position = Int(random.below(Int64(length)))
        bytes[position] ^= UInt8(1 + random.below(255))
    }
}
