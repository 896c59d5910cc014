import TCPEngine
import TCPWire

// A fragment arrives: its datagram is taken like any packet when it is whole.
extension Stack {
    mutating func takeFragment(
        _ packet: RawSpan, _ header: IPHeader, _ fragment: IPFragment, _ local: UInt16
    ) throws(PacketFault) {
        counts.fragmentsReceived &+= 1
        fragments.expire(&context, &counts)
        try header.checkFragment(packet)
        let body = packet.extracting(header.headerLength..<header.totalLength)
        guard let slot = try fragments.take(body, header, fragment, local, &context, &counts) else { return }
        try takeWhole(slot)
    }

    /// The datagram becomes one packet, and goes the way of all packets: nobody vouches for its checksum.
    private mutating func takeWhole(_ slot: UInt32) throws(PacketFault) {
        let length = fragments.datagrams[slot].queue.count
        guard let header = fragments.datagrams[slot].header, let cost = reservePacket(40 &+ length) else {
            fragments.drop(slot, &context)
            throw .noMemory
        }
        defer { context.budget.release(cost) }
        var packet = [UInt8](repeating: 0, count: header.headerLength &+ length)
        writeHeader(header, length, &packet)
        fragments.remove(whole: slot, into: &packet, at: header.headerLength, &context)
        counts.datagramsReassembled &+= 1
        try take(packet.span.bytes, PacketMetadata(), isReassembled: true)
    }

    private mutating func reservePacket(_ bytes: Int) -> Int? {
        if context.budget.reserve(bytes) { return bytes }
        context.pool.trim(all: true, &context.budget)
        return context.budget.reserve(bytes) ? bytes : nil
    }

    private func writeHeader(_ header: IPHeader, _ length: Int, _ packet: inout [UInt8]) {
        var octets = packet.mutableSpan
        var span = octets.mutableBytes
        header.write(to: &span, payloadLength: length)
    }
}

extension Configuration {
    /// The limits on fragments, kept to what the table can work with.
    var fragmentLimits: FragmentTable.Limits {
        FragmentTable.Limits(
            datagrams: min(max(reassemblyDatagrams, 1), 256),
            bytes: min(max(reassemblyBytes, 0), memoryBudget / 4), fragments: min(max(reassemblyFragments, 2), 8192),
            timeout: max(reassemblyTimeout.nanoseconds, 1))
    }
}
