import Glibc
import TCPWire

/// Any text as an address and as a prefix: what is taken is what the system's own parser takes, and means the same.
public func fuzzAddresses(_ input: RawSpan) {
    let octets = Octets(input)
    var all = octets
    let text = String(decoding: all.rest(), as: UTF8.self)
    let address = IPAddress(text)
    if !text.utf8.contains(0) {
        let expected = systemAddress(text)
        require(address == expected, "\(text): \(address.map(\.description) ?? "none"), the system says otherwise")
    }
    if let address {
        require(IPAddress(address.description) == address, "\(address) does not read as it is written")
        checkBits(address)
    }
    if let prefix = AddressPrefix(text) {
        require((0...prefix.address.bitWidth).contains(prefix.length), "\(prefix) is longer than its address")
        require(AddressPrefix(prefix.description) == prefix, "\(prefix) does not read as it is written")
        require(prefix.contains(prefix.address), "\(prefix) does not hold its own address")
        checkPrefix(prefix)
    }
    var bits = octets
    let high = UInt64(bits.next32()) << 32 | UInt64(bits.next32())
    let low = UInt64(bits.next32()) << 32 | UInt64(bits.next32())
    let made = IPAddress(high: high, low: low)
    require(IPAddress(made.description) == made, "\(made) does not read as it is written")
    require(systemAddress(made.description) == made, "the system reads \(made) as another address")
}

/// The system's parser, for both families.
private func systemAddress(_ text: String) -> IPAddress? {
    var bytes = [UInt8](repeating: 0, count: 16)
    if text.contains(":") {
        guard inet_pton(AF_INET6, text, &bytes) == 1 else { return nil }
        return IPAddress(high: bytes.span.bytes.be64(0), low: bytes.span.bytes.be64(8))
    }
    guard inet_pton(AF_INET, text, &bytes) == 1 else { return nil }
    return IPAddress(ipv4: bytes.span.bytes.be32(0))
}

private func checkBits(_ address: IPAddress) {
    if address.isValidSource {
        require(
            !address.isMulticast && !address.isLimitedBroadcast && !address.isUnspecified,
            "\(address) counts as a source")
    }
    require(address.shares(prefixLength: address.bitWidth, with: address), "\(address) is not itself")
}

/// A prefix holds an address with one bit changed exactly when the bit lies behind it.
private func checkPrefix(_ prefix: AddressPrefix) {
    for bit in [0, prefix.length - 1, prefix.length, prefix.address.bitWidth - 1]
    where (0..<prefix.address.bitWidth).contains(bit) {
        var other = prefix.address
        let position = bit + 128 - prefix.address.bitWidth
        if position < 64 { other.high ^= 1 << UInt64(63 - position) } else { other.low ^= 1 << UInt64(127 - position) }
        guard other.isIPv4 == prefix.address.isIPv4 else { continue }
        require(prefix.contains(other) == (bit >= prefix.length), "\(prefix) and \(other) disagree about bit \(bit)")
    }
}
