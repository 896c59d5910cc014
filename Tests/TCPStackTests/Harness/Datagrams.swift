import TCPStack
import TCPWire

/// A UDP datagram put together by hand, from the link's second host to the stack; nothing in it needs to be right.
struct TestDatagram {
    var sourcePort: UInt16 = 4000
    var port: UInt16 = 53
    var payload: [UInt8] = []
    /// The length field; `nil` is the right one.
    var length: UInt16?
    /// The checksum; `nil` is the right one.
    var checksum: UInt16?
    /// Octets behind it that IP counts.
    var trailer: [UInt8] = []
    var trafficClass: UInt8 = 0
    var hopLimit: UInt8 = 64

    func octets(_ family: Family, from number: Int = 2) -> [UInt8] {
        let right = UInt16(8 + payload.count)
        var datagram = big16(sourcePort) + big16(port) + big16(length ?? right) + [0, 0] + payload
        var sum = Checksum()
        sum.addPseudoHeader(
            source: family.address(number), destination: family.stackAddress, protocol: IPProtocol.udp,
            length: datagram.count)
        sum.add(datagram.span.bytes)
        datagram.replaceSubrange(6..<8, with: big16(checksum ?? (sum.value == 0 ? 0xFFFF : sum.value)))
        return datagram + trailer
    }

    func packet(_ family: Family, from number: Int = 2) -> [UInt8] {
        let body = octets(family, from: number)
        let header = IPHeader(
            source: family.address(number), destination: family.stackAddress, protocolNumber: IPProtocol.udp,
            hopLimit: hopLimit, trafficClass: trafficClass)
        return plain(header, body)
    }
}

/// A packet of that header and those octets behind it.
func plain(_ header: IPHeader, _ body: [UInt8]) -> [UInt8] {
    var packet = [UInt8](repeating: 0, count: 48)
    var span = packet.mutableSpan
    var bytes = span.mutableBytes
    let length = header.write(to: &bytes, payloadLength: body.count)
    return Array(packet[..<length]) + body
}

/// An ICMP message that the stack sent.
struct SentICMP {
    var ip: IPHeader
    var type: UInt8
    var code: UInt8
    var parameter: UInt32
    /// What stands behind the first eight octets.
    var rest: [UInt8]
}

/// A UDP datagram that the stack sent.
struct SentDatagram {
    var ip: IPHeader
    var source: UInt16
    var port: UInt16
    var payload: [UInt8]
}

extension VirtualHost {
    /// Takes the ICMP messages that were sent, their checksums right; those that came in fragments are left out.
    func takeICMP(_ family: Family) -> [SentICMP] {
        defer { others.removeAll { !isUDP($0) } }
        return others.compactMap { packet in
            guard let ip = try? IPHeader(parsing: packet.span.bytes), !ip.isFragment,
                ip.protocolNumber == (family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6)
            else { return nil }
            let message = Array(packet[ip.headerLength..<ip.totalLength])
            guard icmpChecksum(family, message, ip.source, ip.destination) == 0 else { return nil }
            let parameter = message[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
            return SentICMP(
                ip: ip, type: message[0], code: message[1], parameter: parameter, rest: Array(message[8...]))
        }
    }

    /// Takes the datagrams that were sent, in fragments or not, their lengths and checksums right.
    func takeDatagrams() -> [SentDatagram] {
        var result: [SentDatagram] = []
        var body: [UInt8] = []
        for packet in others where isUDP(packet) {
            guard let ip = try? IPHeader(parsing: packet.span.bytes),
                ip.fragment.map({ $0.offset == body.count }) ?? body.isEmpty
            else { return [] }
            body += packet[ip.headerLength..<ip.totalLength]
            if ip.fragment?.hasMore == true { continue }
            var sum = Checksum()
            sum.addPseudoHeader(
                source: ip.source, destination: ip.destination, protocol: IPProtocol.udp, length: body.count)
            sum.add(body.span.bytes)
            let words = stride(from: 0, to: 8, by: 2).map { UInt16(body[$0]) << 8 | UInt16(body[$0 + 1]) }
            guard sum.value == 0, Int(words[2]) == body.count, words[3] != 0 else { return [] }
            result.append(
                SentDatagram(ip: ip, source: words[0], port: words[1], payload: Array(body[8...])))
            body = []
        }
        others.removeAll { isUDP($0) }
        return result
    }

    private func isUDP(_ packet: [UInt8]) -> Bool {
        (try? IPHeader(parsing: packet.span.bytes))?.protocolNumber == IPProtocol.udp
    }

    /// Sends from a socket and takes what leaves; says whether it was queued.
    func send(_ id: UDPSocketID, _ payload: [UInt8], to: Endpoint? = nil, from: IPAddress? = nil) throws -> Bool {
        let isQueued = try stack.send(id, payload.span.bytes, to: to, from: from, at: now)
        settle()
        return isQueued
    }

    /// Reads one datagram.
    func receive(_ id: UDPSocketID, room: Int = 70_000) throws -> (ReceivedDatagram, [UInt8])? {
        var octets = [UInt8](repeating: 0, count: room)
        var span = octets.mutableSpan
        var bytes = span.mutableBytes
        guard let received = try stack.receive(id, into: &bytes, at: now) else { return nil }
        settle()
        return (received, Array(octets[..<min(room, received.length)]))
    }
}

extension VirtualHost {
    /// Delivers an ICMP error, from the link's third host, about a packet of the stack.
    func injectICMP(_ family: Family, type: UInt8, code: UInt8, mtu: UInt32, about packet: [UInt8]) {
        let router = family.address(3)
        var message: [UInt8] = [type, code, 0, 0] + big32(mtu) + packet.prefix(500)
        message.replaceSubrange(2..<4, with: big16(icmpChecksum(family, message, router, family.stackAddress)))
        inject(
            plain(
                IPHeader(
                    source: router, destination: family.stackAddress,
                    protocolNumber: family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6), message))
    }
}
