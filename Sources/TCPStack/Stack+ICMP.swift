import TCPEngine
import TCPWire

// ICMP and ICMPv6 arrive: requests that want an answer, errors about what this host sent.
extension Stack {
    mutating func takeICMP(
        _ message: ICMPMessage, _ body: RawSpan, _ ip: IPHeader, _ local: UInt16
    ) throws(PacketFault) {
        switch message {
        case .echoRequest: try queueEcho(body, ip, local)
        case .error(let kind, let quoted): try take(kind, about: quoted, addresses[Int(local)].interface)
        case .other: break
        }
    }

    /// Something this host sent by that link met an error.
    mutating func take(
        _ kind: ICMPError, about quoted: QuotedSegment, _ interface: InterfaceID
    ) throws(PacketFault) {
        guard let index = localIndex(quoted.source.address, on: interface) else { throw .badICMP }
        let key = FlowKey(
            remote: quoted.destination.address, remotePort: quoted.destination.port, local: index,
            localPort: quoted.source.port)
        if quoted.isDatagram {
            try takeError(kind, mtu: quoted.mtu, aboutDatagramOf: key)
            return
        }
        guard let id = flowTable.find(key, hash: key.hash(secret), tables), !id.isEntry else {
            throw .noConnection
        }
        tables.connections[id.slot].connection.receive(
            kind, about: quoted.sequence,
            pathSegmentSize: pathSegmentSize(quoted.mtu, isIPv4: quoted.source.address.isIPv4), &context)
        settle(id.slot)
    }

    /// What a path of this MTU leaves to a segment; zero for an MTU that no path may have (RFC 1191 §3, RFC 8201 §4).
    private func pathSegmentSize(_ mtu: Int, isIPv4: Bool) -> Int {
        if isIPv4 { return mtu < 68 ? 0 : mtu &- 40 }
        return mtu < 1280 ? 0 : mtu &- 60
    }

    /// RFC 792, RFC 4443 §4.2: identifier, sequence number and data come back; type and code become a reply's. The checksum
    /// is made anew: there is one way to come by a checksum (RFC 1624 §3 tells of the other's traps).
    private mutating func queueEcho(_ request: RawSpan, _ ip: IPHeader, _ local: UInt16) throws(PacketFault) {
        var head: [4 of UInt8] = .init(repeating: 0)
        if !ip.source.isIPv4 { head[0] = 129 }
        let key = FlowKey(remote: ip.source, remotePort: 0, local: local, localPort: 0)
        let reply = Message(
            key: key, length: request.byteCount, protocolNumber: ip.protocolNumber,
            trafficClass: ip.trafficClass & 0xFC, hopLimit: hopLimit(for: key))
        try queue(
            reply, .icmp, unsafe head.span.bytes, request.extracting(4..<request.byteCount),
            limit: configuration.icmpBuffer)
    }
}
