"""Tests of daemoneye.collectors.perfmond."""
