import TCPEngine
import TCPWire

// What a link below a stack tells it, and holds in its budget.
extension Stack {
    /// TTL or hop limit of what is sent, where nobody chose one.
    func hopLimit(for key: FlowKey) -> UInt8 {
        guard !key.remote.isIPv4 else { return configuration.hopLimit }
        let advertised = interfaces[interface(of: key)].advertisedHopLimit
        return advertised == 0 ? configuration.hopLimit : advertised
    }

    /// Takes `bytes` of the budget for a link; says whether there was room.
    mutating func reserveForLink(_ bytes: Int) -> Bool {
        if !context.budget.reserve(bytes) {
            context.pool.trim(all: true, &context.budget)
            guard context.budget.reserve(bytes) else { return false }
        }
        linkBytes &+= bytes
        return true
    }

    /// Gives `bytes` of the budget back that a link held.
    mutating func releaseForLink(_ bytes: Int) {
        context.budget.release(bytes)
        linkBytes &-= bytes
    }

    /// RFC 1122 §2.3.2.2, RFC 4861 §7.2.2: a packet of this host will not leave, because its next hop does not answer. Who
    /// sent it learns of it as of an ICMP "host unreachable": a soft error.
    mutating func reportUnreachable(_ packet: RawSpan, _ interface: InterfaceID) {
        guard let header = try? IPHeader(parsing: packet), header.fragment.map({ $0.offset == 0 }) ?? true,
            header.protocolNumber == IPProtocol.tcp || header.protocolNumber == IPProtocol.udp,
            header.totalLength &- header.headerLength >= 8
        else { return }
        let start = header.headerLength
        let quoted = QuotedSegment(
            source: Endpoint(header.source, packet.be16(start)),
            destination: Endpoint(header.destination, packet.be16(start &+ 2)),
            sequence: SequenceNumber(packet.be32(start &+ 4)), mtu: 0,
            isDatagram: header.protocolNumber == IPProtocol.udp)
        try? take(.soft, about: quoted, interface)
    }
}
