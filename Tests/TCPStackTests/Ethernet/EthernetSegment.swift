import TCPEngine
import TCPStack
import TCPWire
import Testing

/// A frame that was on the virtual segment, taken apart.
struct LoggedFrame {
    var time: Instant
    /// The host that sent it; `nil` for one a test made.
    var sender: Int?
    var octets: [UInt8]

    var destination: MACAddress { octets.span.bytes.mac(0) }
    var source: MACAddress { octets.span.bytes.mac(6) }
    var type: UInt16 { octets.span.bytes.be16(12) }
    var body: [UInt8] { Array(octets.dropFirst(14)) }

    var arp: ARPPacket? { type == 0x0806 ? try? ARPPacket(parsing: body.span.bytes) : nil }

    var ip: IPHeader? { type == 0x0806 ? nil : try? IPHeader(parsing: body.span.bytes) }

    /// A message of neighbor discovery, if it is a right one.
    var discovery: NeighborMessage? {
        let packet = body
        guard let ip, ip.protocolNumber == IPProtocol.icmpv6 else { return nil }
        return try? NeighborMessage(parsing: packet.span.bytes, ip)
    }

    /// The ICMPv6 type, if it is one.
    var icmpv6: UInt8? {
        guard let ip, ip.protocolNumber == IPProtocol.icmpv6 else { return nil }
        return body[ip.headerLength]
    }

    var isTCP: Bool { ip?.protocolNumber == IPProtocol.tcp }
}

/// A stack with an Ethernet link.
final class EthernetHost {
    var stack: Stack
    var link: EthernetLink
    let address: MACAddress
    var events: [StackEvent] = []
    /// Whether its frames reach nobody, and none reaches it.
    var isUnplugged = false
    private var buffer = [UInt8](repeating: 0, count: 65_700)

    init(
        _ number: Int, _ configuration: EthernetConfiguration, stack settings: Configuration, at now: Instant,
        address: MACAddress? = nil
    ) {
        self.address = address ?? mac(number)
        let secret = StackSecret(UInt64(number) &* 0x9E37_79B9_7F4A_7C15, 77)
        stack = Stack(configuration: settings, secret: secret, at: now)
        link = EthernetLink(address: self.address, configuration: configuration, secret: secret, at: now)
    }

    /// The next frame, and what is said of it.
    func nextFrame(at now: Instant) -> (octets: [UInt8], packet: TransmittedPacket)? {
        var room = buffer
        buffer = []
        defer { buffer = room }
        var span = room.mutableSpan
        var bytes = span.mutableBytes
        guard link.wantsToTransmit(stack), let packet = link.transmit(into: &bytes, from: &stack, at: now) else {
            return nil
        }
        return (Array(room[0..<packet.length]), packet)
    }

    func receive(_ frame: [UInt8], at now: Instant) {
        link.receive(frame.span.bytes, into: &stack, at: now)
        while let event = stack.nextEvent() { events.append(event) }
    }

    func advance(to now: Instant) {
        stack.advance(to: now)
        link.advance(to: now, &stack)
        while let event = stack.nextEvent() { events.append(event) }
    }

    var deadline: Instant? {
        [stack.nextDeadline, link.nextDeadline].compactMap { $0 }.min()
    }

    /// The rule that is broken, if one is.
    func audit() -> String? {
        if let fault = link.audit(stack) ?? stack.audit() { return "\(fault)" }
        if stack.budgetUsed != stack.memory.total { return "\(stack.budgetUsed) charged, \(stack.memory.total) held" }
        if stack.memory.neighbors != link.memoryBytes { return "the link's memory is not the stack's" }
        return nil
    }

    func neighbor(_ address: IPAddress) -> NeighborStatus? { link.neighbors.first { $0.address == address } }

    func state(of address: IPAddress) -> LinkAddressState? {
        link.addresses.first { $0.prefix.address == address }?.state
    }
}

/// Hosts on one Ethernet, in virtual time: what one sends all others get at once. Every frame is kept.
final class EthernetSegment {
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var hosts: [EthernetHost] = []
    var frames: [LoggedFrame] = []
    /// Says of a frame whether it is lost.
    var isLost: (LoggedFrame) -> Bool = { _ in false }

    /// Adds a host whose addresses, if any, were given to it before anybody asks.
    @discardableResult
    func add(
        _ configuration: EthernetConfiguration = .quick, stack: Configuration = Configuration(),
        address: MACAddress? = nil
    ) -> EthernetHost {
        let host = EthernetHost(hosts.count + 1, configuration, stack: stack, at: now, address: address)
        hosts.append(host)
        return host
    }

    /// Gives a host an address.
    func give(_ host: EthernetHost, _ prefix: String) {
        host.link.addAddress(AddressPrefix(prefix)!, to: &host.stack, at: now)
        settle()
    }

    /// Puts a frame a test made on the segment.
    func inject(_ frame: [UInt8]) {
        deliver(LoggedFrame(time: now, sender: nil, octets: frame))
        settle()
    }

    private func deliver(_ frame: LoggedFrame) {
        frames.append(frame)
        if isLost(frame) { return }
        for (index, host) in hosts.enumerated() where index != frame.sender && !host.isUnplugged {
            host.receive(frame.octets, at: now)
        }
    }

    /// Lets everybody send what they have to.
    func settle() {
        var rounds = 0
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            for (index, host) in hosts.enumerated() {
                while let (octets, _) = host.nextFrame(at: now) {
                    isQuiet = false
                    rounds += 1
                    if rounds > 100_000 {
                        Issue.record("the segment is never quiet:\n\(trace())")
                        return
                    }
                    if !host.isUnplugged { deliver(LoggedFrame(time: now, sender: index, octets: octets)) }
                }
            }
        }
        for (index, host) in hosts.enumerated() {
            while let event = host.stack.nextEvent() { host.events.append(event) }
            if let fault = host.audit() { Issue.record("host \(index + 1): \(fault)\n\(trace())") }
        }
    }

    /// Lets time pass, timer by timer, until it has passed or `done` says so.
    func run(_ duration: Duration, until done: () -> Bool = { false }) {
        let end = now + duration
        settle()
        for _ in 0..<1_000_000 {
            if done() { return }
            guard let next = hosts.compactMap(\.deadline).min(), next <= end else {
                now = end
                for host in hosts { host.advance(to: now) }
                settle()
                return
            }
            now = max(now, next)
            for host in hosts { host.advance(to: now) }
            settle()
        }
        Issue.record("time does not pass")
    }

    /// The frames since the last call.
    func take() -> [LoggedFrame] {
        defer { frames = [] }
        return frames
    }

    /// The last frames, for a failure's message.
    func trace() -> String {
        frames.suffix(30).map { frame in
            var text = "\(frame.time.nanoseconds / 1_000_000) ms \(frame.source) > \(frame.destination) "
            if let arp = frame.arp { text += "ARP \(arp.operation) \(arp.sender) \(arp.target)" }
            if let ip = frame.ip { text += "\(ip.source) > \(ip.destination) \(frame.icmpv6 ?? ip.protocolNumber)" }
            return text
        }.joined(separator: "\n")
    }
}

extension EthernetConfiguration {
    /// IPv4 addresses that are used at once; no IPv6 unless it is asked for.
    static var quick: EthernetConfiguration {
        var result = EthernetConfiguration()
        result.autoconfigures = false
        result.conflictProbes = 0
        result.duplicateAddressProbes = 0
        result.initialDelay = .zero
        return result
    }

    /// As the RFCs have it, without autoconfiguration.
    static var patient: EthernetConfiguration {
        var result = EthernetConfiguration()
        result.autoconfigures = false
        return result
    }

    /// As the RFCs have it.
    static var automatic: EthernetConfiguration { EthernetConfiguration() }
}

/// The Ethernet address of a host of the segment: 02:00:00:00:00:`number`.
func mac(_ number: Int) -> MACAddress { MACAddress(rawValue: 0x0200_0000_0000 | UInt64(number)) }

/// Octets of an Ethernet address.
func octets(_ address: MACAddress) -> [UInt8] {
    (0..<6).map { UInt8(truncatingIfNeeded: address.rawValue >> UInt64(40 - 8 * $0)) }
}

/// Octets of an IPv6 address.
func octets(_ address: IPAddress) -> [UInt8] {
    big32(UInt32(address.high >> 32)) + big32(UInt32(truncatingIfNeeded: address.high))
        + big32(UInt32(address.low >> 32)) + big32(UInt32(truncatingIfNeeded: address.low))
}

/// A frame put together octet by octet.
func ethernet(to destination: MACAddress, from source: MACAddress, type: UInt16, _ body: [UInt8]) -> [UInt8] {
    octets(destination) + octets(source) + big16(type) + body
}

/// An ARP frame put together octet by octet; `fields` may be changed afterwards.
func arpFrame(
    _ operation: UInt16, from hardware: MACAddress, _ sender: IPAddress, to target: IPAddress,
    targetHardware: MACAddress = MACAddress(rawValue: 0), frameTo: MACAddress = .broadcast
) -> [UInt8] {
    let body =
        [0, 1, 8, 0, 6, 4] + big16(operation) + octets(hardware) + big32(sender.ipv4Bits)
        + octets(targetHardware) + big32(target.ipv4Bits)
    return ethernet(to: frameTo, from: hardware, type: 0x0806, body + [UInt8](repeating: 0, count: 18))
}

/// An ICMPv6 message in an IPv6 packet in a frame, put together octet by octet.
struct DiscoveryFrame {
    var type: UInt8
    var code: UInt8 = 0
    var source: IPAddress
    var destination: IPAddress
    var hardware: MACAddress
    /// The frame's destination; `nil` is the group's of the destination.
    var frameTo: MACAddress?
    var hopLimit: UInt8 = 255
    /// What follows the checksum.
    var body: [UInt8]
    var hasValidChecksum = true
    /// A header between IPv6's and the message's, and its number.
    var headers: [UInt8] = []
    var firstHeader: UInt8 = 58

    func frame() -> [UInt8] {
        var message = [type, code, 0, 0] + body
        var sum = Checksum()
        sum.add(message.span.bytes)
        sum.addPseudoHeader(
            source: source, destination: destination, protocol: IPProtocol.icmpv6, length: message.count)
        message.replaceSubrange(2..<4, with: big16(hasValidChecksum ? sum.value : sum.value ^ 0x0101))
        var packet = big32(0x6000_0000) + big16(UInt16(headers.count + message.count)) + [firstHeader, hopLimit]
        packet += octets(source) + octets(destination) + headers + message
        return ethernet(to: frameTo ?? MACAddress(group: destination), from: hardware, type: 0x86DD, packet)
    }
}

/// A link-layer address option.
func linkOption(_ type: UInt8, _ address: MACAddress) -> [UInt8] { [type, 1] + octets(address) }

/// A prefix option.
func prefixOption(
    _ prefix: String, onLink: Bool = true, autonomous: Bool = true, valid: UInt32 = 86_400, preferred: UInt32 = 14_400
) -> [UInt8] {
    let prefix = AddressPrefix(prefix)!
    let flags: UInt8 = (onLink ? 0x80 : 0) | (autonomous ? 0x40 : 0)
    return [3, 4, UInt8(prefix.length), flags] + big32(valid) + big32(preferred) + big32(0) + octets(prefix.address)
}

/// A router's advertisement from the router with that number, at fe80::`number`.
func advertisement(
    router number: Int, lifetime: UInt16 = 1800, hopLimit: UInt8 = 64, flags: UInt8 = 0, reachable: UInt32 = 0,
    retransmission: UInt32 = 0, options: [UInt8] = [], showsHardware: Bool = true
) -> DiscoveryFrame {
    DiscoveryFrame(
        type: 134, source: routerAddress(number), destination: .allNodes, hardware: mac(number),
        body: [hopLimit, flags] + big16(lifetime) + big32(reachable) + big32(retransmission)
            + (showsHardware ? linkOption(1, mac(number)) : []) + options)
}

func routerAddress(_ number: Int) -> IPAddress { IPAddress(high: 0xFE80_0000_0000_0000, low: UInt64(number)) }

/// An address from its text.
func ip(_ text: String) -> IPAddress { IPAddress(text)! }
