import TCPWire

/// ICMP and ICMPv6 messages put together by hand.
extension ScriptedPeer {
    /// Delivers an ICMP error that quotes a segment of the stack with that sequence number, relative to its ISN.
    func sendICMP(
        type: UInt8, code: UInt8, quoting sequence: Int, mtu: UInt32 = 0, quoted: (Endpoint, Endpoint)? = nil,
        edit: ((inout [UInt8]) -> Void)? = nil
    ) {
        let (local, remote) = quoted ?? (target, endpoint)
        var segment = Injection(
            source: local, destination: remote, sequence: (stackISN ?? SequenceNumber(0)) + sequence, flags: .ack)
        segment.payload = []
        let headers = local.address.isIPv4 ? 20 : 40
        // The IP header and the eight octets that every router quotes.
        let quotation = Array(segment.packet().prefix(headers + 8))
        var message: [UInt8] = [type, code, 0, 0] + big32(mtu) + quotation
        message.replaceSubrange(2..<4, with: big16(checksum(of: message)))
        edit?(&message)
        host.log("< ICMP \(type)/\(code) about seq \(sequence)")
        host.inject(ip(message))
    }

    /// Delivers an echo request and gives the message of the answer.
    func echo(_ data: [UInt8]) -> [UInt8]? {
        host.others.removeAll()
        sendEcho(data)
        return host.others.first.map { Array($0.dropFirst(family == .ipv4 ? 20 : 40)) }
    }

    /// Delivers an echo request.
    func sendEcho(_ data: [UInt8], trafficClass: UInt8 = 0) {
        var message: [UInt8] = [family == .ipv4 ? 8 : 128, 0, 0, 0, 0x12, 0x34, 0, 7] + data
        message.replaceSubrange(2..<4, with: big16(checksum(of: message)))
        host.inject(ip(message, trafficClass: trafficClass))
    }

    func checksum(of message: [UInt8], from source: IPAddress? = nil, to destination: IPAddress? = nil) -> UInt16 {
        var sum = Checksum()
        sum.add(message.span.bytes)
        if family == .ipv6 {
            sum.addPseudoHeader(
                source: source ?? endpoint.address, destination: destination ?? target.address,
                protocol: IPProtocol.icmpv6,
                length: message.count)
        }
        return sum.value
    }

    private func ip(_ message: [UInt8], trafficClass: UInt8 = 0) -> [UInt8] {
        let header = IPHeader(
            source: endpoint.address, destination: target.address,
            protocolNumber: family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6,
            trafficClass: trafficClass)
        var packet = [UInt8](repeating: 0, count: header.headerLength)
        var span = packet.mutableSpan
        var bytes = span.mutableBytes
        header.write(to: &bytes, payloadLength: message.count)
        return packet + message
    }
}
