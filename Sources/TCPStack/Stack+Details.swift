package import TCPWire

// What socket calls ask that a program of the stack need not know.
extension Stack {
    /// Whether the address is this host's.
    package func hasAddress(_ address: IPAddress) -> Bool { localIndex(address) != nil }
}
