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

    /// Counts the cuts: a packet of an earlier epoch does not arrive.
    var epoch = 0
    /// Its place in the simulation's list.
    let index: Int
    /// The node at its end.
    unowned let destination: SimulatedNode
    private var random: SimulationRandom
    /// When the last packet's last bit will have left.
    private var busyUntil: Int64 = 0
    /// When the last packet arrives, reordered ones left out.
    private var lastArrival: Int64 = 0
    /// Whether a host waits for room.
    var isAwaited = false

    init(index: Int, configuration: LinkConfiguration, destination: SimulatedNode, random: SimulationRandom) {
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

    /// Puts a packet on the line, and says when it arrives if nothing goes wrong.
    func carry(_ length: Int, at now: Instant) -> Int64 {
        octets += length
        var departure = max(now.nanoseconds, busyUntil)
        if let rate = configuration.rate {
            departure &+= Int64(Double(length) * 8e9 / rate + 0.5)
            busyUntil = departure
        }
        var arrival = departure &+ configuration.delay.nanoseconds
        let jitter = configuration.jitter.nanoseconds
        if jitter > 0 { arrival &+= random.below(jitter &+ 1) }
        lastArrival = max(lastArrival, arrival)
        return lastArrival
    }

    /// Counts a packet that is offered, and decides about it.
    func fate(of header: TCPHeader?, payloadLength: Int, length: Int, at now: Instant) -> PacketFate {
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
